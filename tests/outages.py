"""Outages made on purpose, for the tests: a network that is cut, a server that is killed and started again."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql

from workbook.sandbox import lifecycle


class Proxy:
    """A TCP proxy on loopback in front of a port of this machine; `cut` ends all connections at once."""

    def __init__(self, port: int):
        self._behind = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._behind))
                except OSError:  # the server is down
                    client.close()
                    continue
                with self._lock:
                    self._open |= {client, server}
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {one, other}

    def cut(self) -> None:
        """End every connection that is open now, in the middle of whatever it carries."""
        with self._lock:
            ends = list(self._open)
        self.cuts += bool(ends)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more connections, end those there are."""
        self._listening.close()
        self.cut()


def kill_server(state: dict[str, Any], role: str, *options: str) -> None:
    """Kill a server of the sandbox as a power cut would, start it again, with these options besides, and wait until it answers."""
    with killed(state, role, *options):
        pass


@contextlib.contextmanager
def killed(state: dict[str, Any], role: str, *options: str) -> Iterator[None]:
    """A server of the sandbox is down, as a power cut leaves it, for the block; it answers again afterwards."""
    folder = Path(state["params"]).parent
    pid = pid_of(folder, role)
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    os.kill(pid, signal.SIGKILL)
    while pid_alive(pid):
        time.sleep(0.02)
    try:
        yield
    finally:
        start_server(state, role, [*command, *options])


def start_server(state: dict[str, Any], role: str, command: list[str]) -> None:
    """Start a server of the sandbox that has ended, and wait until it answers."""
    folder = Path(state["params"]).parent
    with (folder / role / "error.log").open("ab") as output:
        # Python passes this signal over; a server that inherits that meets a full disk as an error, not as its death.
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        process = subprocess.Popen(
            # The file of the first start is gone.
            [word for word in command if not word.startswith("--init-file")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=folder,
            restore_signals=False,
        )
        signal.signal(signal.SIGXFSZ, before)
    with (folder / "processes.jsonl").open("a") as noted:
        noted.write(json.dumps({"name": role, "pid": process.pid, "born": lifecycle._born(process.pid)}) + "\n")
    for _ in range(600):
        with contextlib.suppress(pymysql.MySQLError, OSError):
            lifecycle.root_connection(state, role).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"the {role} did not come back")


def pid_of(folder: Path, role: str) -> int:
    """The process of a server of the sandbox, the latest where it was started again."""
    return next(int(entry["pid"]) for entry in reversed(lifecycle._processes(folder)) if entry["name"] == role)


def pid_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is our child is laid to rest."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return Path(f"/proc/{pid}").exists()


@contextlib.contextmanager
def full_disk(pid: int, size: int) -> Iterator[None]:
    """No file of a process can grow beyond `size` bytes: what a full disk does to a server."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
