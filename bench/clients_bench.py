"""The highest rate that live clients hold punctually: ours, oha's, and goose's by itself.

Punctual: the p99 of the lateness is under 5 ms, and no less was sent than was asked for. Lateness is taken where the
requests arrive, by a server that knows nothing of who sends (see peers/clients), for no two generators mean the same by it;
oha tells none at all. Each contestant's highest rate is found anew in each round, by halving a ladder of rates.

What a request costs is told at two fixed rates, and how many are sent at a third that is too much.
"""

import json
import resource
import subprocess
import urllib.request

from rounds import Figures, Line, alternate, compare, over, progress, show, version_of
from servers import HERE, OHA_VERSION, Bench, oha, other_build, peers, run_oha, tuesday

PORT, CONNECTIONS, SECONDS = 9210, 200, 4
URL = f"http://127.0.0.1:{PORT}"
LATE_MS, SENT = 5, 0.99
RATE = "highest requests/s"
# Below what all of them hold on two cores, near it, and more than two cores send.
FIXED, TOO_MUCH = (12_000, 18_000), 60_000
CAME, P99, CPU = "requests/s", "lateness p99 ms", "CPU µs/request"
# A tenth apart, up to 112,000: what is held at the top would be a bound and no measurement.
LADDER = [round(4_000 * 1.1 ** step, -1) for step in range(36)]
# A machine that others use is taken away for 40 ms now and then, and then nobody is punctual: a rate counts as held if it was
# in one of so many tries.
TRIES = 3


def versions() -> dict[str, str]:
    return {"goose": "0.19.0", "oha": version_of([oha(), "--version"]).split()[-1] or OHA_VERSION}


def run(rounds: int, quick: bool) -> list[Line]:
    programs = peers("clients")
    # Of the ladder, every so many rungs.
    ladder, seconds = (LADDER[::8], 2) if quick else (LADDER, SECONDS)
    with Bench() as bench:
        bench.start("punctual-server", [str(programs / "punctual-server"), str(PORT)], PORT)

        def by_tuesday(rate: float, binary: str = tuesday()) -> None:
            text = (HERE / "clients" / "clients.toml").read_text()
            file = bench.folder / "clients.toml"
            file.write_text(text.replace("RATE", f"{rate:g}").replace("DURATION", f"{seconds}s"))
            # Ends with 3 where it was late by its own measure; what counts here is the server's.
            check([binary, "run", str(file), "--engine", "live", "--quiet", "--format", "json", "--out",
                   str(bench.folder / "out")], (0, 3))

        def by_goose(rate: float) -> None:
            check([str(programs / "goose-alone"), URL, f"{rate:g}", f"{seconds}", f"{CONNECTIONS}"], (0,))

        def by_oha(rate: float) -> None:
            run_oha(f"{URL}/orders", rate, seconds, CONNECTIONS)

        def came_of(send, rate: float) -> dict:
            report(rate)
            send(rate)
            return report(rate)

        def punctual(send, rate: float) -> bool:
            came = came_of(send, rate)
            return came["p99_ms"] < LATE_MS and came["requests"] >= SENT * rate * seconds

        def held(send, rate: float) -> bool:
            return any(punctual(send, rate) for _ in range(TRIES))

        def highest(name: str, send) -> Figures:
            """The rung below which all that were tried are held: 0 where the first is not."""
            low, high = -1, len(ladder)
            while high - low > 1:
                middle = (low + high) // 2
                progress(f"{name}: {ladder[middle]:,.0f}/s")
                if held(send, ladder[middle]):
                    low = middle
                else:
                    high = middle
            return {RATE: ladder[low] if low >= 0 else 0.0}

        def at(send, rate: float) -> Figures:
            before = cpu_of_ended()
            came = came_of(send, rate)
            spent = cpu_of_ended() - before
            return {CAME: over(came["requests"], came["seconds"]), P99: came["p99_ms"],
                    CPU: over(spent * 1e6, came["requests"])}

        contestants = {"tuesday": by_tuesday, "goose alone": by_goose, "oha": by_oha}
        if other := other_build():
            contestants["other"] = lambda rate: by_tuesday(rate, other)
        series = alternate({name: lambda name=name, send=send: highest(name, send)
                            for name, send in contestants.items()}, rounds)
        fixed = {rate: alternate({name: lambda send=send: at(send, rate) for name, send in contestants.items()}, rounds)
                 for rate in (*FIXED, TOO_MUCH)}
    show(f"Live clients: highest rate with lateness p99 under {LATE_MS} ms, {CONNECTIONS} connections, {seconds} s at each",
         series)
    for rate, of_rate in fixed.items():
        show(f"Live clients: told to send {rate:,}/s for {seconds} s, start and end of the process included", of_rate)
    peers_of = [name for name in contestants if name != "tuesday"]
    return [
        compare(series, "live clients, highest rate", RATE, "tuesday", "goose alone", at_least=1),
        *(compare(series, "live clients, highest rate", RATE, "tuesday", peer) for peer in peers_of[1:]),
        *(compare(fixed[rate], f"live clients, CPU per request at {rate:,}/s", CPU, "tuesday", peer)
          for rate in FIXED for peer in peers_of),
        *(compare(fixed[TOO_MUCH], "live clients, requests/s at the most", CAME, "tuesday", peer) for peer in peers_of),
    ]


def cpu_of_ended() -> float:
    """User and system time of all processes that were started here and have ended: the server has not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def report(rate: float) -> dict:
    """What came since the last report."""
    with urllib.request.urlopen(f"{URL}/report?{rate}", timeout=10) as answer:
        return json.load(answer)


def check(command: list[str], codes: tuple[int, ...]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if ran.returncode not in codes:
        raise RuntimeError(f"{command[0]}: {ran.returncode}: {ran.stderr[-2000:]}")
