"""What a gateway adds to the latency, at a rate that none of them finds hard: an open loop, directly and through each.

oha sends. Of the generators that registries have, it is the one with a fixed rate over all connections that counts a
request from when it was due and not from when a connection was free: wrk has no rate; h2load's `--rps` is a rate for each
connection, which waits while an answer does; hey's is a limit without correction. Its pacer sleeps on a timer that turns by
milliseconds, so 5,000/s are five requests together each millisecond, and what the last of them waits for the first is in
all figures, the direct ones too.
"""

import statistics

import proxies
from rounds import Figures, Line, Series, alternate, judge, show, version_of
from servers import OHA_VERSION, Bench, oha, run_oha

RATE, CONNECTIONS, SECONDS = 5_000, 50, 8
DIRECT, PEERS = "direct", ("nginx", "haproxy")
FIGURES = {"p50": "p50 ms", "p99": "p99 ms"}
WORKS, WAITS = "% of a core at work", "% of a core waited for"


def versions() -> dict[str, str]:
    return {"oha": version_of([oha(), "--version"]).split()[-1] or OHA_VERSION}


def run(rounds: int, quick: bool) -> list[Line]:
    with Bench() as bench:
        servers = {DIRECT: proxies.upstream(bench), **proxies.start_all(bench)}

        def through(server) -> Figures:
            seconds = 2 if quick else SECONDS
            before = server.on_cores()
            told = run_oha(f"http://127.0.0.1:{server.port}/orders", RATE, seconds, CONNECTIONS)
            works, waits = ((after - before) / seconds * 100 for before, after in zip(before, server.on_cores()))
            if told["summary"]["successRate"] < 1 or set(told["statusCodeDistribution"]) != {"200"}:
                raise RuntimeError(f"not all were answered 200: {told['statusCodeDistribution']}")
            server.log_lines()
            of = {name: told["latencyPercentiles"][key] * 1e3 for key, name in FIGURES.items()}
            return {**of, "requests/s": told["summary"]["requestsPerSec"], WORKS: works, WAITS: waits}

        for server in servers.values():
            run_oha(f"http://127.0.0.1:{server.port}/orders", RATE, 1, CONNECTIONS)
        series = alternate({name: lambda server=server: through(server) for name, server in servers.items()}, rounds)
    added = Series()
    for name in servers:
        if name != DIRECT:
            for figure in FIGURES.values():
                for with_it, without in zip(series.of(name, figure), series.of(DIRECT, figure)):
                    added.add(name, {f"added {figure}": with_it - without})
    show(f"Latency at {RATE:,}/s, an open loop by oha, {CONNECTIONS} connections", series)
    show("Latency added over going direct, round by round", added)
    return [difference(added, figure, peer) for figure in FIGURES.values() for peer in PEERS]


def difference(added: Series, figure: str, peer: str) -> Line:
    """Differences and no ratios: what is added can be next to nothing, or less where the machine was busier."""
    pairs = [(mine - theirs) * 1e3
             for mine, theirs in zip(added.of("tuesday", f"added {figure}"), added.of(peer, f"added {figure}"))]
    middle = statistics.median(pairs)
    measured = f"{middle:+.0f} µs beside {peer} ({min(pairs):+.0f} to {max(pairs):+.0f})"
    return judge(f"latency added at {RATE:,}/s, {figure.split()[0]}", measured, middle, pairs, at_most=0, unit=" µs")
