"""Finding a MySQL or MariaDB server to start, or fetching one from Debian's packages without installing it."""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbook.errors import TerminalError


@dataclass(frozen=True)
class Server:
    """A server program: `command` starts it, `base` is its installation prefix (None where it knows it itself)."""

    command: tuple[str, ...]
    base: Path | None
    version: str

    @property
    def flavour(self) -> str:
        """mysql or mariadb, by what the program says of itself."""
        return "mariadb" if "mariadb" in self.version.lower() else "mysql"


@dataclass(frozen=True)
class Origin:
    """Where a flavour's server comes from: its name, programs to look for, oldest version, and Debian's packages.

    `suite` None means the machine's own. Of the packages in `alone` only the files are taken, not what they need.
    """

    name: str
    programs: tuple[str, ...]
    oldest: tuple[int, int]
    suite: str | None
    packages: tuple[str, ...]
    alone: tuple[str, ...]
    program: str


_ORIGINS = {
    # MySQL is not in Debian stable; its sid builds run on stable through their own loader.
    "mysql": Origin(
        "MySQL", ("mysqld",), (8, 0), "sid", ("mysql-server-core", "mysql-client-core"), (), "usr/sbin/mysqld"
    ),
    # The server's plugins (ed25519 among them) lie in the package that would also set up a service.
    "mariadb": Origin(
        "MariaDB", ("mariadbd", "mysqld"), (10, 6), None, ("mariadb-server-core",), ("mariadb-server",),
        "usr/sbin/mariadbd",
    ),
    # No server: what others load with, for the benches.
    "mydumper": Origin("mydumper", ("mydumper",), (0, 0), "sid", ("mydumper",), (), "usr/bin/mydumper"),
}  # fmt: skip


def cache_folder() -> Path:
    """Where fetched programs are kept: under XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "migration-workbook"


def find_server(flavour: str, say: Callable[[str], None] = print) -> Server:
    """The server program of `flavour` (mysql or mariadb): on PATH, in the conda prefix, in the cache, or fetched now.

    Raises TerminalError where none is had.
    """
    origin = _ORIGINS[flavour]
    for folder in [
        *(os.environ.get("PATH", "").split(os.pathsep)),
        "/usr/sbin",
        "/usr/libexec",
        str(Path(sys.prefix) / "bin"),
        str(Path(os.environ.get("CONDA_PREFIX", sys.prefix)) / "bin"),
    ]:
        for name in origin.programs:
            program = shutil.which(name, path=folder)
            found = _inspect((program,), None) if program else None
            if found and found.flavour == flavour and _new_enough(found.version, origin):
                return found
    root, command = _fetched(flavour, say)
    server = _inspect((*command, str(root / origin.program)), root / "usr")
    if server is None:
        raise TerminalError(
            f"The server fetched into {root} does not start.",
            "Without a server there is no sandbox.",
            f"Remove {root} and try again, or {_install(origin)}.",
        )
    return server


def find_program(flavour: str, name: str, say: Callable[[str], None] = print) -> tuple[str, ...]:
    """The command that starts a client program (mysqldump, mysql; mydumper, myloader): on PATH, or fetched now.

    Raises TerminalError where it is not to be had.
    """
    program = shutil.which(name)
    if program:
        return (program,)
    root, command = _fetched(flavour, say)
    return (*command, str(root / "usr" / "bin" / name))


def _fetched(flavour: str, say: Callable[[str], None]) -> tuple[Path, tuple[str, ...]]:
    """The folder of the packages of `flavour`, fetched unless they are there, and how its programs are started."""
    origin = _ORIGINS[flavour]
    suite = origin.suite or _own_suite()
    root = cache_folder() / f"{flavour}-{suite}-{platform.machine()}"
    if not (root / "complete").exists():
        with _alone(root):
            # Another process may have fetched it while this one waited.
            if not (root / "complete").exists():
                _fetch(root, suite, origin, say)
    loader = next(
        (
            path
            for pattern in ("usr/lib64/ld-linux*", "lib64/ld-linux*", "usr/lib/ld-linux*", "lib/ld-linux*")
            for path in sorted(root.glob(pattern))
        ),
        None,
    )
    libraries = ":".join(
        str(path) for path in (*sorted(root.glob("usr/lib/*-linux-gnu")), *sorted(root.glob("lib/*-linux-gnu")))
    )
    if loader is None:
        raise TerminalError(
            f"The packages fetched into {root} hold no program loader.",
            "The server cannot be started without the C library it was built with.",
            f"Remove {root} and try again, or {_install(origin)}.",
        )
    return root, (str(loader), "--library-path", libraries)


def _new_enough(version: str, origin: Origin) -> bool:
    number = re.search(r"Ver (\d+)\.(\d+)", version)
    return number is not None and (int(number[1]), int(number[2])) >= origin.oldest


def _install(origin: Origin) -> str:
    oldest = ".".join(map(str, origin.oldest))
    return f"install {origin.name} {oldest} or later (your system's package, or conda) so that {origin.programs[0]} is on PATH"


def _own_suite() -> str:
    """The release of this machine, where it is a Debian; else Debian's stable."""
    try:
        release = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        release = ""
    codename = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.M)
    return codename[1] if codename and re.search(r"^ID=debian$", release, re.M) else "stable"


def _inspect(command: tuple[str, ...], base: Path | None) -> Server | None:
    try:
        answer = subprocess.run([*command, "--no-defaults", "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Server(command, base, answer.stdout.strip()) if answer.returncode == 0 else None


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the lock on fetching into `root`: two sandboxes may come up at once with an empty cache."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with root.with_name(root.name + ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _fetch(root: Path, suite: str, origin: Origin, say: Callable[[str], None]) -> None:
    """Download the packages of `origin` from a Debian suite and unpack them into `root`, as any user."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise TerminalError(
            f"No {origin.name} server on PATH or in the conda environment, and no apt-get to fetch one with.",
            "The sandbox starts real servers; without a server program there is none to start.",
            f"To go on, {_install(origin)}; then try again.",
        )
    work = root.with_name(root.name + ".part")
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("lists/partial", "archives/partial", "etc/preferences.d", "etc/apt.conf.d", "deb", "root"):
        (work / folder).mkdir(parents=True)
    (work / "sources.list").write_text(_source_line(suite, origin))
    (work / "status").touch()
    settings = [
        f"Dir::State={work}",
        f"Dir::State::Lists={work}/lists",
        f"Dir::State::status={work}/status",
        f"Dir::Cache={work}",
        f"Dir::Cache::archives={work}/archives",
        f"Dir::Etc::sourcelist={work}/sources.list",
        "Dir::Etc::sourceparts=/dev/null",
        f"Dir::Etc::preferencesparts={work}/etc/preferences.d",
        "APT::Sandbox::User=",
        "APT::Install-Recommends=false",
        "Acquire::Languages=none",
        "Acquire::Retries=3",
        # Without this, an index that cannot be had is only a warning, and its packages are then unknown.
        "APT::Update::Error-Mode=any",
    ]
    options = [word for setting in settings for word in ("-o", setting)]
    say(f"{origin.name} server: fetching the package index of Debian {suite}")
    _run(["apt-get", *options, "-q", "update"], work, origin)
    closure = _run(["apt-get", *options, "-q", "--print-uris", "-y", "install", *origin.packages], work, origin)
    names = sorted({line.split()[1].split("_")[0] for line in closure.splitlines() if line.startswith("'")})
    names += [name for name in origin.alone if name not in names]
    say(f"{origin.name} server: fetching {len(names)} packages")
    _run(["apt-get", *options, "-q", "download", *names], work / "deb", origin)
    archives = sorted((work / "deb").glob("*.deb"))
    for number, archive in enumerate(archives, 1):
        if number % 10 == 0 or number == len(archives):
            say(f"{origin.name} server: unpacking {number} of {len(archives)}")
        _run(["dpkg", "-x", str(archive), str(work / "root")], work, origin)
    (work / "root" / "complete").write_text("\n".join(archive.name for archive in archives))
    shutil.rmtree(root, ignore_errors=True)
    (work / "root").rename(root)
    shutil.rmtree(work, ignore_errors=True)


def _source_line(suite: str, origin: Origin) -> str:
    """A source list for `suite` on the machine's own Debian mirror."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        for mirror in re.findall(
            r"(?:^URIs:|^deb\s+(?:\[[^\]]*\]\s+)?)\s*(\S+/debian)/?(?=\s|$)", path.read_text(), re.M
        ):
            keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
            signed = f"[signed-by={keyring}] " if Path(keyring).exists() else ""
            return f"deb {signed}{mirror} {suite} main\n"
    raise TerminalError(
        "No Debian mirror stands in this machine's apt sources.",
        f"The {origin.name} server is fetched from the mirror the machine already trusts.",
        f"To go on, {_install(origin)}; then try again.",
    )


def _run(command: list[str], folder: Path, origin: Origin) -> str:
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if answer.returncode != 0:
        raise TerminalError(
            f"{command[0]} failed while fetching a {origin.name} server: {answer.stderr.strip()[-600:]}",
            "The sandbox starts real servers; without a server program there is none to start.",
            f"Check the network and the disk, then try again; or {_install(origin)}.",
        )
    return answer.stdout
