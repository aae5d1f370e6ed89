"""Measuring side by side: contestants take turns, round by round, and what is compared is what came out of one run.

On a shared machine a figure alone means little: the next minute gives another. Contestants that take turns share their
bad minutes, so the ratio of their medians holds where the medians do not. The order is rotated each round, so that
nobody always comes first after a pause or always after the one that leaves the caches cold.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Callable, Iterable, Optional

Figures = dict[str, float]


@dataclass
class Series:
    """What was measured: by contestant and figure, a value for each round."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, contestant: str, figures: Figures) -> None:
        for figure, value in figures.items():
            self.values.setdefault(contestant, {}).setdefault(figure, []).append(value)

    def of(self, contestant: str, figure: str) -> list[float]:
        return self.values.get(contestant, {}).get(figure, [])

    def median(self, contestant: str, figure: str) -> float:
        return statistics.median(self.of(contestant, figure))


def alternate(contestants: dict[str, Callable[[], Figures]], rounds: int) -> Series:
    """Runs all of them `rounds` times in turn. Each returns the figures of one round, by name."""
    series, names = Series(), list(contestants)
    for number in range(rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            progress(f"round {number + 1} of {rounds}: {name}")
            series.add(name, contestants[name]())
    progress("")
    return series


@dataclass
class Line:
    """A line of the table that is to be reached, and whether it was."""

    what: str
    measured: str
    target: str
    reached: Optional[bool]  # None: nothing was to be reached
    scattered: bool = False  # rounds fell on both sides of the target

    def verdict(self) -> str:
        if self.reached is None:
            return "-"
        return ("yes" if self.reached else "NO") + (", but not in each round" if self.scattered and self.reached else
                                                    ", but in some rounds" if self.scattered else "")


def compare(series: Series, what: str, figure: str, ours: str, peer: str, *,
            at_least: Optional[float] = None, at_most: Optional[float] = None) -> Line:
    """Our median over the peer's, with the least and the greatest ratio of a round beside it."""
    pairs = [over(mine, theirs) for mine, theirs in zip(series.of(ours, figure), series.of(peer, figure))]
    ratio = over(series.median(ours, figure), series.median(peer, figure))
    measured = f"{ratio:.2f} × {peer} ({min(pairs):.2f} to {max(pairs):.2f})"
    return judge(what, measured, ratio, pairs, at_least=at_least, at_most=at_most, unit=" ×")


def over(mine: float, theirs: float) -> float:
    """A ratio, of nothing too: infinite, or not a number where neither has any."""
    return mine / theirs if theirs else float("inf") if mine else float("nan")


def judge(what: str, measured: str, value: float, each: Iterable[float] = (), *, at_least: Optional[float] = None,
          at_most: Optional[float] = None, unit: str = "") -> Line:
    """A line from one value, and the values of the single rounds if there are any."""
    if at_least is None and at_most is None:
        return Line(what, measured, "", None)
    holds = (lambda v: v >= at_least) if at_least is not None else (lambda v: v <= at_most)
    target = f"≥ {at_least:g}{unit}" if at_least is not None else f"≤ {at_most:g}{unit}"
    sides = {holds(v) for v in each}
    return Line(what, measured, target, holds(value), scattered=len(sides) == 2)


def show(title: str, series: Series) -> None:
    """Prints medians, and in parentheses the least and the greatest value of a round."""
    figures = list(dict.fromkeys(figure for of in series.values.values() for figure in of))
    rows = [["", *figures]]
    for contestant, of in series.values.items():
        row = [contestant]
        for figure in figures:
            values = of.get(figure)
            row.append(f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"
                       if values else "-")
        rows.append(row)
    print(f"\n{title}\n")
    table(rows)


def show_lines(lines: list[Line]) -> None:
    print()
    table([["what", "measured", "to reach", "reached"],
           *[[line.what, line.measured, line.target or "-", line.verdict()] for line in lines]])


def table(rows: list[list[str]]) -> None:
    """As Markdown, so that it can be pasted as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for index, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if index == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def number(value: float) -> str:
    if value != value:
        return "?"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def progress(text: str) -> None:
    """On a terminal, overwrites one line; elsewhere nothing, so that what is printed is the result alone."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def machine(versions: dict[str, str]) -> None:
    """Prints where, when and with what: a table without that says nothing a year later."""
    model = platform.processor() or "unknown processor"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    print(f"{time.strftime('%Y-%m-%d %H:%M %Z')}, {model}, {cores} cores, {platform.system()} {platform.release()}")
    print("; ".join(f"{name} {version}" for name, version in versions.items()))
    busy = f"load average at the start: {load:.1f}"
    if load > 0.5 * cores:
        busy += " - others are at work here; trust the ratios less, and the figures not at all"
    print(busy)


def version_of(command: list[str], line: int = 0) -> str:
    """What a program says of its version: nginx and wrk say it on standard error, and wrk calls it a failure."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    said = (ran.stdout + ran.stderr).strip().splitlines()
    return said[line].strip() if len(said) > line else "?"
