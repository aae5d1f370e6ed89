#!/usr/bin/env python3
"""Makes otava.json: series with fixed seeds, and the change points that Apache Otava finds in them.

Needs `pip install apache-otava==0.8.0`; writes to standard output.
"""

import json
import random
from importlib.metadata import version

from otava.analysis import compute_change_points

COMMAND = "python3 with_otava.py > otava.json"


def noise(seed: int, levels: list[tuple[int, float, float]]) -> list[float]:
    """For each (count, mean, standard deviation), as many values."""
    source = random.Random(seed)
    return [round(source.gauss(mean, deviation), 3) for count, mean, deviation in levels for _ in range(count)]


def trend(seed: int) -> list[float]:
    return [round(value + 0.5 * place, 3) for place, value in enumerate(noise(seed, [(80, 100, 2)]))]


def outliers(seed: int) -> list[float]:
    values = noise(seed, [(60, 100, 1)])
    for place in (9, 31, 47):
        values[place] = 160.0
    return values


SERIES = {
    "a step up": noise(1, [(20, 100, 2), (20, 108, 2)]),
    "a step down": noise(2, [(25, 50, 1), (15, 47, 1)]),
    "a trend": trend(3),
    "noise alone": noise(4, [(120, 100, 5)]),
    "a short series": noise(5, [(3, 10, 0.1), (3, 12, 0.1)]),
    "a constant series": [0.1] * 60,
    "outliers": outliers(7),
    "two steps close together": noise(8, [(30, 100, 1), (4, 112, 1), (30, 100, 1)]),
    "a change of variance": noise(9, [(40, 100, 1), (40, 100, 12)]),
    "longer than the window": noise(
        10, [(70, 100, 3), (45, 104, 3), (30, 97, 3), (80, 97, 3), (60, 103, 3), (15, 99, 3), (40, 110, 3)]
    ),
    # Of neighbours that are found at first, Otava tests only those after a removed one anew; here that makes a difference.
    "points removed again": noise(3, [(12, 100, 4), (9, 105, 4), (14, 98, 4), (11, 103, 4), (16, 97, 4)]),
}


def found(values: list[float]) -> list[int]:
    points, _ = compute_change_points(list(values), window_len=50, max_pvalue=0.001)
    return [int(point.index) for point in points]


print(json.dumps({"otava": version("apache-otava"), "command": COMMAND, "series": [
    {"name": name, "values": values, "change_points": found(values)} for name, values in SERIES.items()
]}))
