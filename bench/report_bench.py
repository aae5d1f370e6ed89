"""How long one waits for a whole experiment, `nine-oh-two` with all variants and their controls, and for its report alone."""

import subprocess
import time

from rounds import Figures, Line, alternate, judge, show
from servers import Bench, tuesday

SECONDS = "seconds"
EXPERIMENT, REPORT = "nine-oh-two", "its report, drawn again"


def versions() -> dict[str, str]:
    return {}


def run(rounds: int, quick: bool) -> list[Line]:
    with Bench() as bench:
        out = bench.folder / "out"
        result = out / "nine-oh-two"

        def timed(*arguments: str) -> float:
            began = time.perf_counter()
            ran = subprocess.run([tuesday(), *arguments, "--quiet"], capture_output=True, text=True, timeout=60, check=False)
            seconds = time.perf_counter() - began
            if ran.returncode:
                raise RuntimeError(f"tuesday {' '.join(arguments)}: {ran.stdout}{ran.stderr}")
            return seconds

        def experiment() -> Figures:
            seconds = timed("run", "nine-oh-two", "--out", str(out))
            return {SECONDS: seconds, "report KB": (result / "report.html").stat().st_size / 1e3}

        def report() -> Figures:
            return {SECONDS: timed("report", str(result))}

        # Whose turn it is first changes with each round, and there has to be something to draw.
        experiment()
        series = alternate({EXPERIMENT: experiment, REPORT: report}, rounds)
    show("Report: every variant of nine-oh-two with its control, and the report, on all cores", series)

    def line(what: str, contestant: str, at_most: float) -> Line:
        seconds = series.median(contestant, SECONDS)
        return judge(what, f"{seconds:.2f} s", seconds, series.of(contestant, SECONDS), at_most=at_most, unit=" s")

    return [line("nine-oh-two, run and report", EXPERIMENT, 2), line("nine-oh-two, the report drawn again", REPORT, 1)]
