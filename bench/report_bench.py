"""How long one waits for a whole experiment: `nine-oh-two`, all variants and their controls, with the report."""

import subprocess
import time

from rounds import Figures, Line, alternate, judge, show
from servers import Bench, tuesday

SECONDS = "seconds"


def versions() -> dict[str, str]:
    return {}


def run(rounds: int, quick: bool) -> list[Line]:
    with Bench() as bench:
        out = bench.folder / "out"

        def experiment() -> Figures:
            began = time.perf_counter()
            ran = subprocess.run([tuesday(), "run", "nine-oh-two", "--quiet", "--out", str(out)], capture_output=True,
                                 text=True, timeout=60, check=False)
            seconds = time.perf_counter() - began
            if ran.returncode:
                raise RuntimeError(f"nine-oh-two: {ran.stdout}{ran.stderr}")
            report = (out / "nine-oh-two" / "report.html").stat().st_size
            return {SECONDS: seconds, "report KB": report / 1e3}

        series = alternate({"nine-oh-two": experiment}, rounds)
    show("Report: every variant of nine-oh-two with its control, and the report, on all cores", series)
    seconds = series.median("nine-oh-two", SECONDS)
    return [judge("nine-oh-two, run and report", f"{seconds:.2f} s", seconds, series.of("nine-oh-two", SECONDS),
                  at_most=2, unit=" s")]
