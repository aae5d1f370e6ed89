"""The virtual engine: beside SimPy, ciw and NeXosim with the same worlds, and growth of time and memory."""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rounds import Figures, Line, alternate, compare, judge, progress, show
from servers import HERE, Bench, peers, target, tuesday

WORLDS = HERE / "engine"
RATE, MEAN, SERVED = "requests/s", "mean ms", "% served"
# Requests of a round: what takes each of them a few seconds. What starting costs is part of ours and of nobody else's.
OURS, RUST, PYTHON = 4_000_000, 2_000_000, 200_000
REQUIREMENTS = WORLDS / "requirements.txt"


def versions() -> dict[str, str]:
    pinned = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    # Its manifest pins it.
    return {"Python": sys.version.split()[0], "SimPy": pinned["simpy"], "ciw": pinned["ciw"], "NeXosim": "1.0.0"}


def run(rounds: int, quick: bool) -> list[Line]:
    less = 20 if quick else 1
    with Bench() as bench:
        return [*beside_peers(bench, rounds, less), *growth(bench, rounds, quick), *identities(bench, rounds)]


@dataclass
class Run:
    seconds: float
    peak_bytes: int
    result: dict


def our_run(bench: Bench, world: str, fill: dict[str, str], *options: str) -> Run:
    """Runs a world as a process of its own: reading the file, starting and writing `result.json` are in its time."""
    text = (WORLDS / f"{world}.toml").read_text()
    for old, new in fill.items():
        assert old in text, old
        text = text.replace(old, new)
    file = bench.folder / f"{world}.toml"
    file.write_text(text)
    out = bench.folder / "out"
    command = [tuesday(), "run", str(file), "--format", "json", "--quiet", "--out", str(out), *options]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        bench.callback(process.kill)
        peak = 0
        # The kernel's own high-water mark, for as long as it can be read. (`ru_maxrss` begins with the mark of whoever
        # started the process, which is more than Tuesday needs.)
        while process.poll() is None:
            peak = high_water(process.pid) or peak
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        if process.returncode:
            raise RuntimeError(f"tuesday run {world}: {process.stderr.read().decode()}")
    return Run(seconds, peak, json.loads((out / world / "result.json").read_text()))


def high_water(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def offered(run: Run) -> int:
    return sum(one["overall"]["offered"] for variant in run.result["variants"] for one in variant["runs"])


def mm10(requests: int) -> dict[str, str]:
    return {"DURATION": f"{requests // 800}s"}


def window_boundary(requests: int) -> dict[str, str]:
    minutes = max(2, requests // 8_000)
    bursts = ", ".join(f"{{ from = '{60 * minute - 2}s', to = '{60 * minute + 2}s', count = 2000 }}"
                       for minute in range(1, minutes))
    return {"DURATION": f"{minutes}m", "BURSTS": bursts}


# ── Beside the peers ─────────────────────────────────────────────────────────────────────────────────────────────────

def beside_peers(bench: Bench, rounds: int, less: int) -> list[Line]:
    python, nexosim = python_peers(), str(peers("nexosim-worlds") / "nexosim-worlds")
    script = str(WORLDS / "peers_python.py")
    lines = []
    for world, fill in (("mm10", mm10), ("window-boundary", window_boundary)):
        series = alternate({
            "tuesday": lambda: ours(our_run(bench, world, fill(OURS // less), "--threads", "1")),
            "NeXosim parts": lambda: theirs([nexosim, "parts", world, str(RUST // less)]),
            "NeXosim one": lambda: theirs([nexosim, "one", world, str(RUST // less)]),
            "SimPy": lambda: theirs([python, script, "simpy", world, str(PYTHON // less)]),
            "ciw": lambda: theirs([python, script, "ciw", world, str(PYTHON // less)]),
        }, rounds)
        show(f"Virtual engine: {world}, on one core", series)
        # A single model without messages is no simulation of clients, a gateway and a service; it is shown beside them.
        for peer, times in (("SimPy", 20), ("ciw", 40), ("NeXosim parts", 2), ("NeXosim one", None)):
            lines.append(compare(series, f"{world}, requests/s", RATE, "tuesday", peer, at_least=times))
        if world == "window-boundary":
            rate = series.median("tuesday", RATE)
            lines.append(judge(f"{world}, gateway and all measures", f"{rate / 1e6:.2f} M requests/s", rate / 1e6,
                               [each / 1e6 for each in series.of("tuesday", RATE)], at_least=2, unit=" M/s"))
    return lines


def ours(run: Run) -> Figures:
    overall = run.result["variants"][0]["runs"][0]["overall"]
    return {RATE: offered(run) / run.seconds, SERVED: overall["outcomes"]["served"] / overall["offered"] * 100,
            MEAN: overall["latency"]["mean_us"] / 1e3}


def theirs(command: list[str]) -> Figures:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode:
        raise RuntimeError(f"{command[:3]}: {ran.stderr[-2000:]}")
    told = json.loads(ran.stdout)
    return {RATE: told["requests"] / told["seconds"], SERVED: told["served"] / told["requests"] * 100,
            MEAN: told["mean_ms"]}


def python_peers() -> str:
    """The interpreter of a folder of its own with the versions of requirements.txt."""
    folder = target() / "peers-python"
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if not done.exists() or done.read_text() != REQUIREMENTS.read_text():
        progress("installing SimPy and ciw")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
                        str(REQUIREMENTS)], check=True)
        done.write_text(REQUIREMENTS.read_text())
    return str(python)


# ── Growth ───────────────────────────────────────────────────────────────────────────────────────────────────────────

def growth(bench: Bench, rounds: int, quick: bool) -> list[Line]:
    """M/M/10 ten times as fast, so that there are few scenario seconds, each of which has its points in the series."""
    sizes = [10 ** power for power in range(5, 7 if quick else 8)]
    faster = {'"800/s"': '"8000/s"', '"10ms"': '"1ms"'}

    def of(size: int) -> Figures:
        run = our_run(bench, "mm10", {**faster, "DURATION": f"{size / 8_000}s"}, "--threads", "1")
        return {"ns/request": run.seconds / offered(run) * 1e9, "peak MB": run.peak_bytes / 1e6}

    series = alternate({power(size): lambda size=size: of(size) for size in sizes}, rounds)
    largest = sizes[-1]
    if not quick:
        # Once: it takes as long as all the others together.
        largest = 10 ** 8
        progress("10^8 requests, once")
        series.add(power(largest), of(largest))
        progress("")
    show("Virtual engine: growth in requests", series)
    some = 10 ** 6 if not quick else 10 ** 5
    slower = series.median(power(largest), "ns/request") / series.median(power(some), "ns/request")
    more = series.median(power(largest), "peak MB") - series.median(power(some), "peak MB")
    each = more * 1e6 / (largest - some)
    return [
        # The smaller run still has the start of the process in it; a tenth more is noise on any machine.
        judge("growth, time per request", f"{slower:.2f} × from {power(some)} to {power(largest)}", slower,
              at_most=1.1, unit=" ×"),
        # Two bits each in a run that has a control, none in this one; the rest is the seconds of the scenario.
        judge("growth, memory", f"{each:.2f} bytes per request from {power(some)} to {power(largest)}", each, at_most=1,
              unit=" byte"),
    ]


def identities(bench: Bench, rounds: int) -> list[Line]:
    """The same load by ever more clients."""
    sizes = (10 ** 2, 10 ** 4, 10 ** 6)

    def of(size: int) -> Figures:
        run = our_run(bench, "identities", {"DURATION": "200s", "IDENTITIES": str(size)}, "--threads", "1")
        return {"ns/request": run.seconds / offered(run) * 1e9, "peak MB": run.peak_bytes / 1e6}

    series = alternate({power(size): lambda size=size: of(size) for size in sizes}, rounds)
    show("Virtual engine: growth in identities, 2 × 10^6 requests", series)
    few, many = (series.of(power(size), "peak MB") for size in (sizes[0], sizes[-1]))
    each = [(much - little) * 1e6 / (sizes[-1] - sizes[0]) for little, much in zip(few, many)]
    middle = statistics.median(each)
    return [judge("growth, bytes per identity", f"{middle:.0f} ({min(each):.0f} to {max(each):.0f})", middle, each,
                  at_most=100)]


def power(size: int) -> str:
    return f"10^{len(str(size)) - 1}"
