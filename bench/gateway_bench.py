"""Requests per second, p99 and CPU per request: us, nginx and HAProxy under the same load, and us with tokens."""

import json
import subprocess

import proxies
import tokens
from rounds import Figures, Line, alternate, compare, show, version_of
from servers import HERE, Bench, Server, tool

CONNECTIONS = 50
SECONDS = 5
RATE, P99, CPU, LOGGED = "requests/s", "p99 ms", "CPU µs/request", "% logged"


def versions() -> dict[str, str]:
    return {
        "nginx": version_of([tool("nginx", "apt-get install nginx-light"), "-v"]).rpartition("/")[2],
        "HAProxy": version_of([tool("haproxy", "apt-get install haproxy"), "-v"]).split()[2],
        "wrk": version_of([tool("wrk", "apt-get install wrk"), "-v"]).split()[1],
    }


def run(rounds: int, quick: bool) -> list[Line]:
    seconds = 1 if quick else SECONDS
    with Bench() as bench:
        proxies.upstream(bench)
        keys, token_file = bench.folder / "upstream" / "www" / ".well-known" / "jwks.json", bench.folder / "tokens"
        tokens.make(keys, token_file, 100)
        servers = proxies.start_all(bench)
        series = measure(servers, rounds, seconds)
        show(f"Gateway: {CONNECTIONS} connections by wrk for {seconds} s a round, two limits, breaker, pool, JSON log",
             series)
        # Both get the same requests, with tokens; one looks at them. After the first round, each was verified before.
        with_tokens = {"without tokens": servers["tuesday"],
                       "with tokens": proxies.start_tuesday(bench, "jwt", 9205)}
        auth = measure(with_tokens, rounds, seconds, token_file)
        show("Gateway: the same, each request with one of 100 ES256 tokens that were verified before", auth)
    return [
        *(compare(series, "gateway, requests/s", RATE, "tuesday", peer, at_least=1.1) for peer in ("nginx", "haproxy")),
        *(compare(series, "gateway, p99", P99, "tuesday", peer, at_most=1.0) for peer in ("nginx", "haproxy")),
        compare(series, "gateway, CPU per request, of the better peer", CPU, "tuesday",
                min(("nginx", "haproxy"), key=lambda peer: series.median(peer, CPU)), at_most=0.85),
        *(compare(series, f"gateway, {figure}", figure, "tuesday", "other")
          for figure in (RATE, P99, CPU) if "other" in servers),
        compare(auth, "gateway with ES256 tokens, requests/s", RATE, "with tokens", "without tokens", at_least=0.9),
    ]


def measure(servers: dict[str, Server], rounds: int, seconds: int, token_file=None):
    for server in servers.values():
        # Connections to the upstream are opened, tables filled, tokens verified.
        wrk(server, 1, token_file)
        server.log_lines()
    return alternate({name: lambda server=server: one_round(server, seconds, token_file)
                      for name, server in servers.items()}, rounds)


def one_round(server: Server, seconds: int, token_file=None) -> Figures:
    before = server.cpu_seconds()
    told = wrk(server, seconds, token_file)
    # Lines that are still to be written are work of this round too.
    logged = server.log_lines()
    spent = server.cpu_seconds() - before
    if told["errors"]:
        raise RuntimeError(f"{told['errors']} of {told['requests']} requests failed: nothing here is to be refused")
    return {
        RATE: told["requests"] / told["seconds"],
        P99: told["p99_us"] / 1e3,
        CPU: spent / told["requests"] * 1e6,
        # A log that drops lines is cheap. wrk does not count the requests that it leaves at the end, so a bit over 100.
        LOGGED: logged / told["requests"] * 100,
    }


def wrk(server: Server, seconds: int, token_file=None, under=()) -> dict:
    """What wrk says of a run, `under` the command of another program if there is one."""
    command = [*under, tool("wrk", "apt-get install wrk"), "--threads", "1", "--connections", str(CONNECTIONS),
               "--duration", f"{seconds}s", "--script", str(HERE / "gateway" / "wrk.lua"),
               f"http://127.0.0.1:{server.port}"]
    if token_file:
        command += ["--", str(token_file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
    return json.loads(ran.stdout.strip().splitlines()[-1])
