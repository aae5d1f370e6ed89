#!/usr/bin/env python3
"""Benchmarks of Tuesday beside its peers, in one run: see README.md.

    bench/run.py gateway                 the gateways under full load
    bench/run.py gateway latency         several, one after the other
    bench/run.py                         all, and the whole table at the end
"""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import rounds  # noqa: E402
import servers  # noqa: E402

# By name, what measures it. Each has `run(rounds, quick)`, which prints its tables and returns its lines, and
# `versions()` of what it measures.
ALL = {
    "gateway": "gateway_bench",
    "latency": "latency_bench",
    "engine": "engine_bench",
    "scaling": "scaling_bench",
    "clients": "clients_bench",
    "report": "report_bench",
}

# These look for what is behind a figure, and only if they are asked to: nothing is to be reached.
ASKED_FOR = {
    "waits": "waits_bench",
}

# What keeps one benchmark from being measured, and not the others.
BROKEN = (servers.Missing, RuntimeError, OSError, subprocess.SubprocessError)


def main() -> int:
    known = {**ALL, **ASKED_FOR}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", nargs="*", metavar="BENCHMARK",
                        help=f"of {', '.join(known)} [default: all but {', '.join(ASKED_FOR)}]")
    parser.add_argument("--rounds", type=int, default=5, help="how often all take their turn [default: 5]")
    parser.add_argument("--quick", action="store_true", help="short rounds: whether it works, not how fast it is")
    asked = parser.parse_args()
    unknown = [name for name in asked.benchmarks if name not in known]
    if unknown or not 1 <= asked.rounds <= 100:
        parser.error(f"there is no benchmark {unknown[0]}" if unknown else "rounds are 1 to 100")
    names = asked.benchmarks or list(ALL)

    modules, lines, failed = {}, [], []
    try:
        versions = {"tuesday": rounds.version_of([servers.tuesday(), "--version"]).split()[-1]}
    except BROKEN as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name in names:
        try:
            module = importlib.import_module(known[name])
            versions.update(module.versions())
            modules[name] = module
        except BROKEN as error:
            give_up(name, error, failed)
    rounds.machine(versions)
    for name, module in modules.items():
        try:
            lines += module.run(asked.rounds, asked.quick)
        except BROKEN as error:
            give_up(name, error, failed)
    if lines:
        rounds.show_lines(lines)
    if asked.quick:
        print("\n--quick: these figures say that the benchmark works, and nothing of speed.")
    return 3 if failed else 0


def give_up(name: str, error: Exception, failed: list[str]) -> None:
    rounds.progress("")
    print(f"\nerror: {name}: {error}", file=sys.stderr)
    failed.append(name)


if __name__ == "__main__":
    sys.exit(main())
