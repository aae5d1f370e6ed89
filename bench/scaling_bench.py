"""The virtual engine on one thread and on two: four variants under four seeds, which have nothing to do with one another."""

from engine_bench import RATE, offered, our_run
from rounds import Figures, Line, alternate, compare, show
from servers import Bench

# Of scenario time: some seconds of ours on one thread. What starts and ends a run is on one thread in any case.
DURATION = 1_600


def versions() -> dict[str, str]:
    return {}


def run(rounds: int, quick: bool) -> list[Line]:
    with Bench() as bench:
        def of(threads: int) -> Figures:
            duration = DURATION // 20 if quick else DURATION
            run = our_run(bench, "matrix", {"DURATION": f"{duration}s"}, "--seeds", "4", "--threads", str(threads))
            return {RATE: offered(run) / run.seconds}

        series = alternate({"1 thread": lambda: of(1), "2 threads": lambda: of(2)}, rounds)
    show("Virtual engine: four variants × four seeds", series)
    return [compare(series, "scaling, requests/s", RATE, "2 threads", "1 thread", at_least=1.8)]
