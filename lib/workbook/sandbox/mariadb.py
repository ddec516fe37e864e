"""What MariaDB wants otherwise than MySQL to be started in the sandbox: its system tables, its flags, its plugins."""

import re
import subprocess
from pathlib import Path
from typing import Any

from workbook.errors import TerminalError
from workbook.sandbox.binaries import Server

# The files of mariadb-install-db, in its order, without the help texts and the database test; until 10.11 they were
# called mysql_….
_SYSTEM_TABLES = (
    "mariadb_system_tables.sql",
    "mariadb_performance_tables.sql",
    "mariadb_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mariadb_sys_schema.sql",
)
FLAGS = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve=OFF",
    "--event-scheduler=OFF",
    "--local-infile=ON",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--default-time-zone=+00:00",
    "--character-set-server=utf8mb4",
    "--max-allowed-packet=64M",
    "--max-connections=100",
    "--innodb-buffer-pool-size=256M",
    "--innodb-log-file-size=64M",
    "--innodb-flush-log-at-trx-commit=2",
    "--sync-binlog=0",
    "--performance-schema=ON",
]


def plugin_flags(program: Server) -> list[str]:
    """Where a fetched server finds its plugins; one on PATH knows."""
    if program.base is None:
        return []
    folder = program.base / "lib" / "mysql" / "plugin"
    return [f"--plugin-dir={folder}"] + (
        ["--plugin-load-add=auth_ed25519"] if (folder / "auth_ed25519.so").exists() else []
    )


def make_system_tables(program: Server, command: list[str], output: Any) -> "subprocess.CompletedProcess[bytes]":
    """Fill the empty data folder named in `command`, as mariadb-install-db would; root@localhost has no password yet."""
    share = share_of(program.base) if program.base else _share(program)
    script = ["CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"]
    script += [path.read_text(encoding="utf-8") for name in _SYSTEM_TABLES if (path := _named(share, name)).exists()]
    script += [
        "\nUSE mysql;\nDELETE FROM global_priv WHERE User = 'root' AND Host <> 'localhost';\n",
        "DELETE FROM proxies_priv;\n",
    ]
    return subprocess.run(
        [*command, "--bootstrap", "--silent-startup"], input="".join(script).encode(), stdout=output, stderr=output
    )


def share_of(base: Path) -> Path:
    """The folder of messages, character sets and SQL files below an installation prefix."""
    new = base / "share" / "mariadb"
    return new if _named(new, _SYSTEM_TABLES[0]).exists() else base / "share" / "mysql"


def _named(folder: Path, name: str) -> Path:
    """A SQL file by its new name, or the old one where that is not there."""
    path = folder / name
    return path if path.exists() else folder / name.replace("mariadb_", "mysql_")


def _share(program: Server) -> Path:
    """The folder of a server on PATH that holds its SQL files and messages."""
    answer = subprocess.run(
        [*program.command, "--no-defaults", "--verbose", "--help"], capture_output=True, text=True, errors="replace"
    )
    found = re.search(r"^lc-messages-dir\s+(\S+)$", answer.stdout, re.M)
    base = re.search(r"^basedir\s+(\S+)$", answer.stdout, re.M)
    named = [Path(found[1])] if found else []
    named += [Path(base[1]) / "share" / name for name in ("mariadb", "mysql")] if base else []
    for folder in named:
        if _named(folder, _SYSTEM_TABLES[0]).exists():
            return folder
    raise TerminalError(
        f"The MariaDB server {program.command[0]} does not say where its system tables are defined.",
        "Without them its data folder cannot be made.",
        "Install the whole server package, or take it off PATH so that one is fetched.",
    )
