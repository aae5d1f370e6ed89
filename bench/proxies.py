"""The three gateways and their upstream, configured alike (see the files in `gateway/`)."""

from typing import Optional

from servers import HERE, Bench, Server, other_build, tool, tuesday

CONFIG = HERE / "gateway"
UPSTREAM_PORT = 9200
THREADS = 2


def upstream(bench: Bench) -> Server:
    folder = bench.folder / "upstream"
    (folder / "www" / ".well-known").mkdir(parents=True)
    return bench.start("upstream", nginx("upstream.conf", folder), UPSTREAM_PORT)


def nginx(config: str, folder) -> list[str]:
    return [tool("nginx", "apt-get install nginx-light"), "-e", "stderr", "-p", str(folder), "-c", str(CONFIG / config)]


def start_nginx(bench: Bench) -> Server:
    return bench.start("nginx", nginx("nginx.conf", bench.folder / "nginx"), 9202, "requests.jsonl")


def start_haproxy(bench: Bench) -> Server:
    command = [tool("haproxy", "apt-get install haproxy"), "-db", "-f", str(CONFIG / "haproxy.cfg")]
    return bench.start("haproxy", command, 9203, "requests.jsonl", log_is_output=True)


def start_tuesday(bench: Bench, variant: str = "plain", port: int = 9204, binary: Optional[str] = None) -> Server:
    command = [binary or tuesday(), "gateway", str(CONFIG / "tuesday.toml"), "--variant", variant, "--threads", str(THREADS),
               "--listen", f"127.0.0.1:{port}", "--log", "requests.jsonl"]
    return bench.start(f"tuesday-{port}", command, port, "requests.jsonl")


def start_all(bench: Bench) -> dict[str, Server]:
    """The three, and the other build of ours if one is named."""
    started = {"tuesday": start_tuesday(bench), "nginx": start_nginx(bench), "haproxy": start_haproxy(bench)}
    if other := other_build():
        started["other"] = start_tuesday(bench, port=9206, binary=other)
    return started
