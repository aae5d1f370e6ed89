"""The processes of a benchmark: how they are started, watched and ended.

Everything listens on 127.0.0.1, at the ports that the configuration files have. Each process is ended by its own id when
the benchmark ends, however it ends.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TICKS = os.sysconf("SC_CLK_TCK")
OHA_VERSION = "1.16.0"


class Missing(Exception):
    """Something that this benchmark needs is not there."""


def tool(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not found:
        raise Missing(f"{name} is not installed: {package}")
    return found


def tuesday() -> str:
    """The binary under test: what `TUESDAY` says, or a build of this checkout by the profile `dist`."""
    if given := named("TUESDAY"):
        return given
    subprocess.run(["cargo", "build", "--profile", "dist", "--workspace", "--quiet"], cwd=ROOT, check=True)
    return str(target() / "dist" / "tuesday")


def other_build() -> Optional[str]:
    """Another build of ours to measure beside it, to see what a change moves: what `OTHER` says."""
    return named("OTHER")


def named(variable: str) -> Optional[str]:
    """The program that a variable of the environment names."""
    given = os.environ.get(variable)
    if given and not os.access(given, os.X_OK):
        raise Missing(f"{variable} names {given}, which is no program")
    return str(Path(given).resolve()) if given else None


def target() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")


def peers(package: str) -> Path:
    """The folder of the peers' programs, with those of this package compiled if they are not yet."""
    folder = Path(os.environ.get("PEERS_TARGET_DIR") or target() / "peers")
    subprocess.run(["cargo", "build", "--release", "--quiet", "--package", package, "--manifest-path",
                    str(HERE / "peers" / "Cargo.toml"), "--target-dir", str(folder)], check=True)
    return folder / "release"


def oha() -> str:
    """oha of one version: what `OHA` says, or compiled once into a folder of its own."""
    if named := os.environ.get("OHA"):
        return named
    root = target() / "peers-oha"
    binary = root / "bin" / "oha"
    if not binary.exists():
        print("compiling oha, once: it takes some minutes", file=sys.stderr)
        subprocess.run(["cargo", "install", "oha", "--version", OHA_VERSION, "--locked", "--quiet",
                        "--root", str(root)], check=True)
    return str(binary)


def run_oha(url: str, rate: float, seconds: float, connections: int) -> dict:
    """An open loop by oha, and what it says of it."""
    command = [oha(), "-q", f"{rate:g}", "-z", f"{seconds:g}s", "-c", str(connections), "--latency-correction", "--no-tui",
               "--output-format", "json", "-H", "x-api-key: partner-1", url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if ran.returncode:
        raise RuntimeError(f"oha: {ran.stderr[-2000:]}")
    return json.loads(ran.stdout)


class Server:
    """A process that serves until it is told to end."""

    def __init__(self, process: subprocess.Popen, port: int, log: Optional[Path]):
        self.process, self.port, self.log = process, port, log

    def cpu_seconds(self) -> float:
        """User and system time of the process and of what it started, threads included."""
        return sum(cpu_of(pid) for pid in [self.process.pid, *children_of(self.process.pid)])

    def on_cores(self) -> tuple[float, float]:
        """Seconds that all its threads had a core, and seconds that they were ready to go on and had none."""
        works = waits = 0
        for thread in self.threads().values():
            # What follows is how often it got one (https://docs.kernel.org/scheduler/sched-stats.html).
            ran, waited = map(int, (thread / "schedstat").read_text().split()[:2])
            works, waits = works + ran, waits + waited
        return works / 1e9, waits / 1e9

    def threads(self) -> dict[int, Path]:
        """By its id, where the system tells of each thread of the process and of what it started."""
        pids = [self.process.pid, *children_of(self.process.pid)]
        return {int(thread.name): thread for pid in pids for thread in Path(f"/proc/{pid}/task").iterdir()}

    def log_lines(self) -> int:
        """How many lines were logged since the last time, after a moment for what is still buffered. Forgets them."""
        if self.log is None:
            return 0
        size, deadline = -1, time.monotonic() + 3
        while time.monotonic() < deadline and size != self.log.stat().st_size:
            size = self.log.stat().st_size
            time.sleep(1.1)
        with self.log.open("rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        # All of them append, so that an empty file is one that is written from its beginning.
        os.truncate(self.log, 0)
        return lines


def children_of(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name in parentheses may hold anything; what follows is: state, parent, …
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    found += [int(entry.name), *children_of(int(entry.name))]
    return found


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


class Bench(contextlib.ExitStack):
    """A folder for what is written, and the processes; both are gone when it is left."""

    def __enter__(self) -> "Bench":
        super().__enter__()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="tuesday-bench-")))
        # nginx gives up root, where it has it, and its workers must come here.
        self.folder.chmod(0o755)
        # So that SIGTERM, too, leaves through here.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.callback(signal.signal, signal.SIGTERM, before)
        return self

    def start(self, name: str, command: list[str], port: int, log: Optional[str] = None,
              log_is_output: bool = False) -> Server:
        """Starts a server and waits until it takes connections at `port`. `log` is the file that it logs to."""
        if listens(port):
            raise Missing(f"{name}: something else listens on 127.0.0.1:{port}")
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        log_file = folder / log if log else None
        output = open(log_file if log_is_output else folder / "output", "ab")
        said = open(folder / "errors", "ab")
        with output, said:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=said)
        self.callback(end, process)
        deadline = time.monotonic() + 10
        while not listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Missing(f"{name} does not serve: {(folder / 'errors').read_text()[-2000:]}")
            time.sleep(0.02)
        return Server(process, port, log_file)


def listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        # Tuesday ends at once on the second; what does not is killed.
        process.terminate()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
