"""Starting and stopping the sandbox: two MySQL servers, the BigQuery emulator, the Pub/Sub emulator where there is one."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymysql
import yaml

from workbook.errors import Refused, TerminalError
from workbook.names import mysql_string
from workbook.sandbox import mariadb, pubsub_emulator
from workbook.sandbox.binaries import Server, find_server

PROJECT = "local-project"
# Only a folder that holds this file is ever removed.
_MARK, _MARK_TEXT = ".workbook-sandbox", "made and removed by workbook sandbox\n"
# What Cloud SQL shows of itself: https://cloud.google.com/sql/docs/mysql/flags and facts on the product's defaults.
_CLOUD_SQL = [
    "--partial-revokes=ON",
    "--skip-name-resolve=ON",
    "--sql-require-primary-key=OFF",
    "--event-scheduler=ON",
    # Off by default there too, but a flag that everybody sets who moves triggers or functions.
    "--log-bin-trust-function-creators=ON",
    "--default-storage-engine=InnoDB",
    "--disabled-storage-engines=MyISAM,MEMORY,CSV,ARCHIVE,BLACKHOLE,FEDERATED,MRG_MYISAM",
]
_SOURCE = ["--event-scheduler=OFF", "--skip-name-resolve=OFF"]
_BOTH = [
    "--bind-address=127.0.0.1",
    "--mysqlx=OFF",
    "--local-infile=ON",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--binlog-format=ROW",
    "--default-time-zone=+00:00",
    "--character-set-server=utf8mb4",
    "--max-allowed-packet=64M",
    "--max-connections=100",
    "--innodb-buffer-pool-size=256M",
    "--innodb-redo-log-capacity=256M",
    "--innodb-flush-log-at-trx-commit=2",
    "--sync-binlog=0",
    "--performance-schema=ON",
]
# Cloud SQL's administrator: every static privilege but SUPER, FILE and SHUTDOWN, and these dynamic ones.
# https://cloud.google.com/sql/docs/mysql/users#mysql-80-user-privileges-cloudsqlsuperuser
_ADMIN_WITHOUT = {"SUPER", "FILE", "SHUTDOWN", "CREATE TABLESPACE", "PROXY", "USAGE", "GRANT OPTION"}
_ADMIN_DYNAMIC = [
    "APPLICATION_PASSWORD_ADMIN",
    "CONNECTION_ADMIN",
    "REPLICATION_APPLIER",
    "ROLE_ADMIN",
    "XA_RECOVER_ADMIN",
    "FLUSH_OPTIMIZER_COSTS",
    "FLUSH_STATUS",
    "FLUSH_TABLES",
    "FLUSH_USER_RESOURCES",
]
_ADMIN_READS_ONLY = "CREATE, DROP, ALTER, INDEX, INSERT, UPDATE, DELETE, TRIGGER, CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, REFERENCES"


def up(
    folder: Path,
    *,
    scale: float = 1.0,
    sample: bool = True,
    flavour: str = "mysql",
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Start everything into `folder` and return the state, as `sandbox up --json` prints it.

    `flavour` is the source's: mysql or mariadb.

    What an earlier, crashed start left behind is stopped and removed first; a sandbox that is up already is returned
    as it is. Raises TerminalError where a part does not start; then nothing is left running.
    """
    state = read_state(folder)
    if state and all(_alive(process) for process in state["processes"]):
        if not state["source"]["url"].startswith(f"{flavour}:"):
            raise Refused(
                f"The sandbox in {folder} is up with another source than {flavour}.",
                "Its data would have to go.",
                "Take it down first (workbook sandbox down), or name another folder with --dir.",
            )
        say("The sandbox is up already.")
        return state
    down(folder)
    _claim(folder)
    try:
        return _start(folder, scale, sample, flavour, say)
    except BaseException:
        down(folder)
        raise


def down(folder: Path) -> int:
    """Stop what the sandbox in `folder` started, by process id, and remove the folder; the number of processes stopped."""
    mark = folder / _MARK
    if not mark.is_file() or mark.read_text() != _MARK_TEXT:
        return 0
    processes = _processes(folder)
    running = [process for process in processes if _alive(process)]
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process["pid"], signal.SIGTERM)
    for process in running:
        _await_end(process)
    shutil.rmtree(folder, ignore_errors=True)
    return len(running)


def read_state(folder: Path) -> dict[str, Any] | None:
    """The state of the sandbox in `folder`, or None where none was started."""
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except (OSError, ValueError):
        return None
    return state


def status(folder: Path) -> list[dict[str, Any]]:
    """Each process of the sandbox: name, pid and whether it is alive."""
    processes = _processes(folder)
    return [{"name": process["name"], "pid": process["pid"], "alive": _alive(process)} for process in processes]


def public(state: dict[str, Any]) -> dict[str, Any]:
    """The part of the state that `sandbox up --json` promises."""
    return {key: state[key] for key in ("source", "target", "warehouse", "pubsub", "params")}


def root_connection(state: dict[str, Any], role: str, **options: Any) -> "pymysql.Connection[Any]":
    """A connection as the sandbox's own root to `source` or `target`."""
    server = state["servers"][role]
    return pymysql.connect(
        host="127.0.0.1",
        port=server["port"],
        user="root",
        password=server["root_password"],
        charset="utf8mb4",
        autocommit=True,
        local_infile=True,
        max_allowed_packet=1 << 26,
        init_command="SET time_zone = '+00:00'",
        **options,
    )


def _start(folder: Path, scale: float, sample: bool, flavour: str, say: Callable[[str], None]) -> dict[str, Any]:
    started = time.monotonic()
    program = find_server("mysql", say)
    source_program = program if flavour == "mysql" else find_server(flavour, say)
    source_flags = [*_BOTH, *_SOURCE] if flavour == "mysql" else mariadb.FLAGS
    ports = _free_ports(5)
    with ThreadPoolExecutor(4) as pool:
        source = pool.submit(_start_mysql, folder, "source", source_program, ports[0], source_flags)
        target = pool.submit(_start_mysql, folder, "target", program, ports[1], [*_BOTH, *_CLOUD_SQL])
        warehouse = pool.submit(_start_bigquery, folder, ports[2], ports[3])
        pubsub = pool.submit(_start_pubsub, folder, ports[4])
        servers = {"source": source.result(), "target": target.result()}
        admin = _make_admin(servers["target"])
        state: dict[str, Any] = {
            "servers": servers,
            "source": {"url": _url(flavour, "root", servers["source"]["root_password"], ports[0])},
            "target": {
                "url": _url("mysql", "admin", admin, ports[1]),
                "root_url": _url("mysql", "root", servers["target"]["root_password"], ports[1]),
            },
        }
        if sample:
            say(f"Sandbox: filling the sample shop at scale {scale:g}")
            from workbook.sandbox import shop

            rows = shop.load(lambda: root_connection(state, "source"), scale, say)
            say(f"Sandbox: {sum(rows.values()):,} rows in {len(rows)} tables")
        state["warehouse"] = {"project": PROJECT, "endpoint": warehouse.result()}
        state["pubsub"] = {"endpoint": pubsub.result()}
    state["processes"] = _processes(folder)
    state["params"] = str(_write_params(folder, state, ports, admin))
    _write_private(folder / "state.json", json.dumps(state, indent=1))
    say(f"Sandbox: up in {time.monotonic() - started:.0f} s, in {folder}")
    return state


def _claim(folder: Path) -> None:
    """Make `folder` the sandbox's own; a folder that holds anything else is refused, since `down` removes it."""
    if folder.exists() and any(folder.iterdir()):
        raise Refused(
            f"The folder {folder} holds files that no sandbox put there.",
            "`workbook sandbox down` removes the whole folder.",
            "Name an empty or new folder with --dir.",
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    (folder / _MARK).write_text(_MARK_TEXT)


def _start_mysql(folder: Path, role: str, program: Server, port: int, settings: list[str]) -> dict[str, Any]:
    home = folder / role
    for name in ("data", "tmp", "files"):
        (home / name).mkdir(parents=True)
    command = [*program.command, "--no-defaults", f"--datadir={home / 'data'}", f"--tmpdir={home / 'tmp'}"]
    if program.base:
        share = mariadb.share_of(program.base)
        command += [
            f"--basedir={program.base}",
            f"--lc-messages-dir={share}",
            f"--character-sets-dir={share / 'charsets'}",
        ]
    if os.geteuid() == 0:
        command.append("--user=root")
    log = home / "error.log"
    with log.open("ab") as output:
        if program.flavour == "mariadb":
            command += mariadb.plugin_flags(program)
            made = mariadb.make_system_tables(program, command, output)
        else:
            made = subprocess.run([*command, "--initialize-insecure"], stdout=output, stderr=output)
        if made.returncode != 0:
            raise _not_started(f"the {role} server", log)
        password = secrets.token_urlsafe(18)
        # Under skip_name_resolve nobody from 127.0.0.1 is root@localhost, so root is renamed before the first login.
        first = home / "first.sql"
        _write_private(
            first,
            "SET sql_log_bin = 0;\n"
            f"ALTER USER root@localhost IDENTIFIED BY {mysql_string(password)};\n"
            "RENAME USER root@localhost TO root@'127.0.0.1';\n",
        )
        # A socket path holds 107 bytes at most, so it stands in the data folder under a relative name.
        options = [
            f"--port={port}",
            "--socket=mysql.sock",
            f"--pid-file={home / 'mysqld.pid'}",
            f"--init-file={first}",
            f"--secure-file-priv={home / 'files'}",
            f"--server-id={port}",
            *settings,
        ]
        process = _spawn(folder, role, [*command, *options], output)

    def ready() -> bool:
        pymysql.connect(host="127.0.0.1", port=port, user="root", password=password, connect_timeout=2).close()
        return True

    _wait(ready, process, f"the {role} server", log)
    first.unlink()
    return {"port": port, "root_password": password, "version": program.version.split(" Ver ")[-1]}


def _make_admin(server: dict[str, Any]) -> str:
    """Create the restricted administrator of the Cloud SQL stand-in; its password."""
    password = secrets.token_urlsafe(18)
    connection = pymysql.connect(host="127.0.0.1", port=server["port"], user="root", password=server["root_password"])
    with connection, connection.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("SHOW PRIVILEGES")
        known = {str(row[0]).upper(): str(row[1]) for row in cursor.fetchall()}
        static = [name for name in known if name not in _ADMIN_WITHOUT and not _is_dynamic(name)]
        dynamic = [name for name in _ADMIN_DYNAMIC if name in known]
        cursor.execute(f"CREATE USER admin@'%' IDENTIFIED BY {mysql_string(password)}")
        cursor.execute(f"GRANT {', '.join(static + dynamic)} ON *.* TO admin@'%' WITH GRANT OPTION")
        cursor.execute(f"REVOKE {_ADMIN_READS_ONLY} ON mysql.* FROM admin@'%'")
    return password


def _is_dynamic(name: str) -> bool:
    return "_" in name or name in ("ALLOW_NONEXISTENT_DEFINER",)


def _start_bigquery(folder: Path, port: int, grpc_port: int) -> str | None:
    try:
        import bqemulator  # noqa: F401
    except ImportError:
        return None
    log = folder / "warehouse.log"
    with log.open("ab") as output:
        command = [sys.executable, "-m", "workbook.sandbox.bigquery_emulator", str(port), str(grpc_port), PROJECT]
        process = _spawn(folder, "warehouse", command, output)
    endpoint = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        with urllib.request.urlopen(f"{endpoint}/bigquery/v2/projects/{PROJECT}/datasets", timeout=2) as answer:
            return bool(answer.status == 200)

    _wait(ready, process, "the BigQuery emulator", log)
    return endpoint


def _start_pubsub(folder: Path, port: int) -> str | None:
    """Google's Pub/Sub emulator, or the one that the environment names; None where there is neither."""
    if given := pubsub_emulator.given():
        return given
    command = pubsub_emulator.command(port)
    if command is None:
        return None
    log = folder / "pubsub.log"
    with log.open("ab") as output:
        process = _spawn(folder, "pubsub", command, output)

    def ready() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    _wait(ready, process, "the Pub/Sub emulator", log)
    return f"127.0.0.1:{port}"


def _spawn(folder: Path, name: str, command: list[str], output: Any) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own and note it at once, so that a crash of ours leaves it findable."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd=folder
    )
    with (folder / "processes.jsonl").open("a") as noted:
        noted.write(json.dumps({"name": name, "pid": process.pid, "born": _born(process.pid)}) + "\n")
    return process


def _born(pid: int) -> str:
    """When a process started, as the kernel counts it: a process id alone may have been given to another."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return answer.stdout.strip()


def _alive(process: dict[str, Any]) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process["pid"], os.WNOHANG)
    return bool(process["born"]) and _born(process["pid"]) == process["born"]


def _await_end(process: dict[str, Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while _alive(process):
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process["pid"], signal.SIGKILL)
            end += 5
        time.sleep(0.05)


def _wait(
    ready: Callable[[], bool], process: "subprocess.Popen[bytes]", what: str, log: Path, seconds: float = 60
) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, pymysql.MySQLError):
            if ready():
                return
        if process.poll() is not None or time.monotonic() > end:
            raise _not_started(what, log)
        time.sleep(0.1)


def _not_started(what: str, log: Path) -> TerminalError:
    try:
        tail = " / ".join(log.read_text(errors="replace").splitlines()[-5:])
    except OSError:
        tail = "no log"
    return TerminalError(
        f"{what[0].upper()}{what[1:]} did not start: {tail[-800:]}",
        "Without it there is no sandbox.",
        "Mend what the log names (often memory, disk or a library), then try again.",
    )


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on now; all are held at once, so that none is given twice."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]


def _write_params(folder: Path, state: dict[str, Any], ports: list[int], admin: str) -> Path:
    """A params file for this sandbox, its passwords in files beside it that only the owner can read."""
    _write_private(folder / "source.password", state["servers"]["source"]["root_password"])
    _write_private(folder / "target.password", admin)
    content: dict[str, Any] = {
        "environment": "local",
        "source": {
            "url": state["source"]["url"].replace(":" + state["servers"]["source"]["root_password"] + "@", "@"),
            "password": "file:source.password",
            "databases": ["shop"],
        },
        "target": {
            "url": f"mysql://admin@127.0.0.1:{ports[1]}",
            "password": "file:target.password",
            "flavour": "cloud-sql",
            "version": next((it for it in ("8.0", "8.4") if state["servers"]["target"]["version"].startswith(it)), "9"),
        },
        "warehouse": {
            "project": PROJECT,
            "dataset": "shop",
            "location": "US",
            "endpoint": state["warehouse"]["endpoint"],
        },
    }
    if state["pubsub"]["endpoint"]:
        content["cdc"] = {"pubsub_endpoint": state["pubsub"]["endpoint"]}
    path = folder / "params.yaml"
    _write_private(path, yaml.safe_dump(content, sort_keys=False))
    return path


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _url(flavour: str, user: str, password: str, port: int) -> str:
    return f"{flavour}://{user}:{password}@127.0.0.1:{port}"


def _processes(folder: Path) -> list[dict[str, Any]]:
    """The processes noted in `folder`; a line that a crash left half-written is passed over."""
    found = []
    try:
        lines = (folder / "processes.jsonl").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found
