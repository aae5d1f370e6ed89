"""Whom the threads of a gateway wait for under full load, which is behind its p99 where all share the cores.

perf notes who gets a core and who is ready to have one (https://docs.kernel.org/trace/events.html, `sched`), while wrk
sends. A thread waits from when it is woken, or loses its core with work left, until it has one.
"""

import re
import subprocess
from collections import Counter, defaultdict, deque
from pathlib import Path
from typing import Iterator, NamedTuple

import proxies
from gateway_bench import CONNECTIONS, wrk
from rounds import Figures, Line, alternate, show, version_of
from servers import Bench, Missing, Server, tool

SECONDS = 3
# In seconds: what is longer is counted apart.
LONG = 1e-3
PACKAGE = "apt-get install linux-perf"


class Wait(NamedTuple):
    thread: int
    seconds: float
    behind: Counter  # by thread, the seconds for which it had the core that this one waited for


def versions() -> dict[str, str]:
    return {"perf": version_of([tool("perf", PACKAGE), "--version"]).split()[-1]}


def run(rounds: int, quick: bool) -> list[Line]:
    with Bench() as bench:
        proxies.upstream(bench)
        servers = proxies.start_all(bench)
        for server in servers.values():
            wrk(server, 1)
        record, seconds = bench.folder / "perf.data", 1 if quick else SECONDS
        series = alternate({name: lambda server=server: one_round(server, seconds, record)
                            for name, server in servers.items()}, rounds)
    show(f"Waits for a core: {CONNECTIONS} connections by wrk for {seconds} s a round, in % of one core", series)
    return []


def one_round(server: Server, seconds: int, record: Path) -> Figures:
    perf = [tool("perf", PACKAGE), "record", "--quiet", "--all-cpus", "--mmap-pages", "4M", "--output", str(record)]
    events = ["--event", "sched:sched_switch", "--event", "sched:sched_wakeup", "--event", "sched:sched_wakeup_new"]
    try:
        told = wrk(server, seconds, under=[*perf, *events, "--"])
    except subprocess.CalledProcessError as error:
        raise Missing(f"perf records nothing here, for which it needs root: {error.stderr[-500:]}") from error
    server.log_lines()
    threads = server.threads()
    waits = [wait for wait in waits_in(record) if wait.thread in threads]
    long = [wait for wait in waits if wait.seconds > LONG]
    behind = sum((wait.behind for wait in long), Counter())

    def share(time: float) -> float:
        return time / told["seconds"] * 100

    return {
        "requests/s": told["requests"] / told["seconds"],
        "p50 ms": told["p50_us"] / 1e3,
        "p99 ms": told["p99_us"] / 1e3,
        "waits": share(sum(wait.seconds for wait in waits)),
        "over 1 ms": share(sum(wait.seconds for wait in long)),
        "of these, behind a thread of its own": share(sum(behind[thread] for thread in threads)),
    }


def waits_in(record: Path) -> Iterator[Wait]:
    """All waits in what perf recorded."""
    ready: dict[int, float] = {}
    running: dict[str, tuple[int, float]] = {}
    # By core, who had it from when to when: enough of it to look back over the longest wait that is of interest.
    turns: dict[str, deque] = defaultdict(lambda: deque(maxlen=10_000))
    for core, at, event, fields in events_in(record):
        if event != "sched_switch":
            # Seen again while it is on its way, it waits since the first time.
            ready.setdefault(int(fields["pid"]), at)
            continue
        left, came = int(fields["prev_pid"]), int(fields["next_pid"])
        if core in running and running[core][0] == left:
            turns[core].append((left, running[core][1], at))
        running[core] = came, at
        if fields["prev_state"].startswith("R"):
            ready[left] = at
        since = ready.pop(came, None)
        # Thread 0 is that of an idle core.
        if since is not None and came:
            yield Wait(came, at - since, behind(turns[core], since))


def behind(turns: deque, since: float) -> Counter:
    had = Counter()
    for thread, start, end in reversed(turns):
        if end <= since:
            break
        had[thread] += end - max(start, since)
    return had


def events_in(record: Path) -> Iterator[tuple[str, float, str, dict[str, str]]]:
    """Core, seconds, name and fields of each event."""
    command = [tool("perf", PACKAGE), "script", "--input", str(record), "--ns", "--fields", "cpu,time,event,trace"]
    shape = re.compile(r"\s*\[(\d+)\]\s+([\d.]+):\s+sched:(\w+):\s(.*)")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if found := shape.match(line):
                core, at, event, said = found.groups()
                # Names of threads, which may hold anything, come before the numbers that are asked for.
                yield core, float(at), event, dict(re.findall(r"(\w+)=(\S+)", said))
