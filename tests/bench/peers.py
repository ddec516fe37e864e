"""The peers that come from PyPI, each in a virtual environment of its own under the cache folder: they pin what we do not."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from workbook.sandbox.binaries import cache_folder

# Name of the environment → what is installed, the peer first, and the program in it: python for a script of ours.
PEERS = {
    "reladiff": (("reladiff[mysql]==0.6.0",), "reladiff"),
    "dvt": (("google-pso-data-validator==8.10.1",), "data-validation"),
    # It knows no DOUBLE of SQLAlchemy 2.1.
    "dlt": (("dlt[bigquery,sql_database]==1.31.0", "sqlalchemy==2.0.58", "mysqlclient-static==2.3.0.post3"), "python"),
    "pandas-gbq": (
        ("pandas-gbq==0.35.3", "pandas==3.1.1", "sqlalchemy==2.1.9", "mysqlclient-static==2.3.0.post3"),
        "python",
    ),
}


def program(name: str, say: Callable[[str], None]) -> Path:
    """The program of a peer, installed when it is first asked for. Raises RuntimeError where it cannot be had."""
    wanted, command = PEERS[name]
    versions = "-".join(one.rpartition("==")[2] for one in wanted)
    folder = cache_folder() / f"peer-{name}-{versions}-{sys.version_info[0]}.{sys.version_info[1]}"
    found = folder / "bin" / command
    ready = folder / "ready"
    if ready.exists():
        return found
    say(f"installing {wanted[0]}, once")
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    for line in (
        [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [*uv, "pip", "install", "--quiet", "--python", str(python), *wanted],
    ):
        answer = subprocess.run(line, capture_output=True, text=True)
        if answer.returncode:
            raise RuntimeError(f"{wanted[0]} cannot be installed: {answer.stderr.strip()[-200:]}")
    ready.touch()
    return found
