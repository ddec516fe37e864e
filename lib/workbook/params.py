"""A params file becomes frozen settings; secrets stay references until a connection needs them."""

import difflib
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from workbook.errors import UsageError
from workbook.params_cdc import Cdc
from workbook.params_cloud_sql import CloudSql
from workbook.params_cutover import Cutover
from workbook.params_nights import Notify, Retention
from workbook.params_warehouse import Warehouse

CHECKOUT = Path(__file__).resolve().parents[2]
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def sandbox_folder() -> Path:
    """The folder of the default sandbox: WORKBOOK_SANDBOX, or .sandbox in the checkout."""
    return Path(os.environ.get("WORKBOOK_SANDBOX") or CHECKOUT / ".sandbox")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _MySQL(_Section):
    url: str = Field(description="`mysql://user@host:port`, or `sandbox:source` / `sandbox:target` of the sandbox")
    password: str | None = Field(
        None, description="`env:NAME`, `file:PATH` or `secret-manager:projects/P/secrets/S`", repr=False
    )

    @field_validator("url")
    @classmethod
    def _is_mysql_url(cls, url: str) -> str:
        if url.startswith("sandbox:"):
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("mysql", "mariadb") or not parts.hostname or not parts.username:
            raise ValueError("must look like mysql://user@host:3306")
        if parts.path not in ("", "/") or parts.query:
            raise ValueError("must end after the port; the databases are listed under source.databases")
        _ = parts.port
        return url


class Source(_MySQL):
    """Where the data comes from. The account needs SELECT, and what the README of params/ lists for each phase."""

    databases: tuple[str, ...] = Field(description="the databases to move")

    @field_validator("databases")
    @classmethod
    def _names_some(cls, databases: tuple[str, ...]) -> tuple[str, ...]:
        system = {"mysql", "sys", "information_schema", "performance_schema", "_workbook"}
        if not databases:
            raise ValueError("names no database")
        if bad := [name for name in databases if name.lower() in system]:
            raise ValueError(f"names {bad[0]!r}, which belongs to the server itself")
        if len(set(databases)) != len(databases):
            raise ValueError("names a database twice")
        return databases


class Target(_MySQL):
    """Cloud SQL for MySQL, or its stand-in."""

    flavour: Literal["cloud-sql", "mysql"] = Field("cloud-sql", description="what the assessment compares with")
    version: Literal["8.0", "8.4", "9"] = Field(
        "8.4", description='its version of MySQL (in quotes; `"9"` for later ones), for the assessment'
    )


class Replica(_MySQL):
    """A replica whose lag the bulk load watches. The account needs REPLICATION CLIENT."""


class Profile(_Section):
    """How deeply the source is profiled."""

    sample_above: int = Field(1_000_000, ge=1, description="tables with more rows than this are sampled")
    sample_rows: int = Field(200_000, ge=1, description="rows read of a sampled table")


class Bulk(_Section):
    """How the bulk load runs."""

    mode: Literal["load", "refresh"] = Field(
        "load",
        description="load: into the tables in place; refresh: into a copy aside, proven there and swapped in at one moment",
    )
    keep_copies: int = Field(1, ge=0, description="copies that a refresh keeps of those before it, to go back to")
    swap_patience_s: float = Field(
        600, ge=0, le=86400, description="seconds that a refresh waits for readers that are in the way of its swap"
    )
    target_disk_gb: float | None = Field(
        None, gt=0, description="the target's disk: a refresh that would not fit is refused before it begins"
    )
    runner: Literal["local", "beam"] = Field(
        "local",
        description="local: processes of this machine; beam: an Apache Beam pipeline, set under `beam` (extra `dataflow`)",
    )
    workers: int = Field(2, ge=1, le=32, description="parallel readers and writers")
    chunk_seconds: float = Field(4.0, gt=0, le=600, description="seconds aimed at for a chunk, one transaction each")
    chunk_rows: int = Field(1_000_000, ge=1, description="rows of a chunk at most")
    driver: Literal["auto", "mysqlclient", "pymysql"] = Field("auto", description="auto: mysqlclient if it is there")
    patience_s: float = Field(60, ge=0, le=3600, description="seconds that a lost server or network is waited for")
    limit_mb_s: float | None = Field(None, gt=0, description="MB/s of all workers together at most")
    max_threads_running: int | None = Field(None, ge=1, description="pause while more threads run on the source")
    max_replica_lag_s: float | None = Field(
        None, ge=0, description="pause while the replica (below; else the source, where it is one) is further behind"
    )
    replica_url: str | None = Field(None, description="a replica to watch: `mysql://user@host:port`")
    replica_password: str | None = Field(None, description="its password, as a reference", repr=False)
    throttle_file: str | None = Field(
        None,
        description="changes the limits while a load runs; none: `ENVIRONMENT.throttle.yaml` beside the params file",
    )


class Beam(_Section):
    """Where Apache Beam pipelines run, and what they may use."""

    runner: Literal["local", "dataflow"] = Field(
        "local", description="local: worker processes of this machine; dataflow: Google Cloud Dataflow"
    )
    connections: int = Field(
        8, ge=1, le=1000, description="connections to the target, and to the source, of all workers together at most"
    )
    processes: int = Field(2, ge=1, le=32, description="worker processes of the local runner")
    project: str | None = Field(None, description="Dataflow: the project of the job; none: `warehouse.project`")
    region: str | None = Field(None, description="Dataflow: the region of the workers, beside the servers")
    temp_location: str | None = Field(None, description="Dataflow: a `gs://` folder for its own files, not for rows")
    container_image: str | None = Field(None, description="Dataflow: the workers' image, made from beam/Dockerfile")
    network: str | None = Field(None, description="Dataflow: the network of the workers")
    subnetwork: str | None = Field(None, description="Dataflow: their subnetwork, `regions/R/subnetworks/S`")
    public_ips: bool = Field(False, description="Dataflow: whether workers have public addresses")
    service_account: str | None = Field(None, description="Dataflow: the account that the workers run as")
    machine_type: str = Field("n2-standard-2", description="Dataflow: the workers' machine; one core a connection")
    source_instance: str | None = Field(
        None,
        description="`project:region:instance`: workers reach the source by the Cloud SQL connector; none: by its URL",
    )
    target_instance: str | None = Field(None, description="the same for the target")
    options: tuple[str, ...] = Field((), description="further options of Beam as they stand, `--name=value`")

    @field_validator("source_instance", "target_instance")
    @classmethod
    def _instance(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[^:\s]+(:[^:\s]+){2,3}", name):
            raise ValueError("must look like project:region:instance")
        return name


class Validate(_Section):
    """How the copy is proven."""

    mode: Literal["full", "delta"] = Field(
        "full",
        description="full: every row is read; delta: only rows that the binlogs of source and target say were touched since"
        " the last good verdict, and all where that cannot be known",
    )
    workers: int = Field(2, ge=1, le=32, description="tables compared at once")
    samples: int = Field(10, ge=0, le=1000, description="differing rows shown for a table")
    listed: int = Field(
        10_000,
        ge=1000,
        le=1_000_000,
        description="differing rows of a table that are read with their values and listed by key in validate/rows.csv; all are counted",
    )
    statistics: Literal["none", "needed", "all"] = Field(
        "needed",
        description="figures of every column side by side; needed: those of BigQuery only where its hash does not prove that it holds what Cloud SQL holds",
    )
    statistics_rows: int = Field(
        200_000, ge=0, description="tables of at most so many rows get distinct values and histograms"
    )
    show_values: bool = Field(False, description="show the differing values; otherwise they are masked")
    replay: bool = Field(
        True,
        description="call triggers, routines, events and views on a scratch copy on the target, and compare what they do",
    )
    fence_s: float = Field(
        30.0, ge=0, le=3600, description="seconds that the target is waited for to apply what the source had executed"
    )
    replay_seconds: float = Field(5.0, gt=0, le=600, description="seconds that one call of a replay may take")


class Settings(_Section):
    """Everything a run needs to know, read once and never changed."""

    environment: str = Field(description="a short name: it is part of the names of the runs")
    source: Source
    target: Target
    warehouse: Warehouse
    cloud_sql: CloudSql = CloudSql()  # type: ignore[call-arg]
    cdc: Cdc = Cdc()  # type: ignore[call-arg]
    mapping: str | None = Field(None, description="the mapping file, relative to the params file; none: generated")
    pipelines: str | None = Field(
        None, description="the register of pipelines, relative to the params file; none: only what is seen is reported"
    )
    profile: Profile = Profile()  # type: ignore[call-arg]
    bulk: Bulk = Bulk()  # type: ignore[call-arg]
    beam: Beam = Beam()  # type: ignore[call-arg]
    validate_: Validate = Field(Validate(), alias="validate")  # type: ignore[call-arg]
    cutover: Cutover = Cutover()  # type: ignore[call-arg]
    notify: Notify = Notify()  # type: ignore[call-arg]
    retention: Retention = Retention()  # type: ignore[call-arg]
    folder: Path = Field(Path(), exclude=True, repr=False)

    @field_validator("environment")
    @classmethod
    def _short_name(cls, environment: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", environment):
            raise ValueError("must be lower-case letters, digits and hyphens, at most 31")
        return environment

    @model_validator(mode="after")
    def _source_is_not_target(self) -> "Settings":
        if self.source.url == self.target.url:
            raise ValueError("source and target are the same server")
        return self

    @property
    def mapping_path(self) -> Path | None:
        """The mapping file, absolute; None where it is to be generated beside the run."""
        return None if self.mapping is None else (self.folder / self.mapping).resolve()

    @property
    def marts_path(self) -> Path | None:
        """The folder of marts, absolute; None where the params name none."""
        return None if self.warehouse.marts is None else (self.folder / self.warehouse.marts).resolve()

    @property
    def pipelines_path(self) -> Path | None:
        """The register of pipelines, absolute; None where the params name none."""
        return None if self.pipelines is None else (self.folder / self.pipelines).resolve()

    def sha256(self) -> str:
        """A hash of the settings, for run.json; passwords that stand in a URL are left out of it."""
        return hashlib.sha256(json.dumps(masked(self.model_dump(mode="json")), sort_keys=True).encode()).hexdigest()


def masked(value: Any) -> Any:
    """`value` with the password of every URL replaced by ***."""
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(://[^/\s:@]*):[^/\s]*@", r"\1:***@", value)
    return value


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings in a params file, with `overrides` (dotted key → value) laid over it.

    Raises UsageError for a missing or malformed file, an unknown key, a wrong value.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"There is no params file {path}.",
            "It says which servers to use.",
            "Name an existing file with -p; params/README.md explains its keys.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The params file {path} cannot be read: {error}",
            "It says which servers to use.",
            "Mend the file, then try again.",
        ) from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}, column {place.column + 1}" if place else ""
        raise UsageError(
            f"The params file {path} is not YAML{where}: {getattr(error, 'problem', 'unreadable')}.",
            "Nothing of it can be trusted.",
            "Mend that line; params/README.md shows a whole file.",
        ) from None
    return from_values(content, path.resolve().parent, str(path), overrides)


def from_values(content: Any, folder: Path, origin: str, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from plain values; relative paths are relative to `folder`, messages name `origin`."""
    if not isinstance(content, dict):
        raise UsageError(
            f"{origin} holds no keys.", "It says which servers to use.", "params/README.md shows a whole file."
        )
    content = json.loads(json.dumps(content, default=str))
    for key, value in (overrides or {}).items():
        _lay_over(content, key, value)
    try:
        return Settings.model_validate({**content, "folder": folder})
    except ValidationError as error:
        raise _explained(error, origin) from None


def override(text: str) -> tuple[str, Any]:
    """`key=value` of --set: a dotted key and its value, read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", key.strip()):
        raise UsageError(
            f"--set {text!r} is not key=value.",
            "It cannot be laid over the params.",
            "Write for example --set bulk.workers=4.",
        )
    if re.search(r"://[^/\s:@]+:[^/\s]+@", value):
        raise UsageError(
            f"--set {key.strip()} holds a password.",
            "It would stand in the shell's history, in the process list and in the executed notebooks.",
            "Leave it out of the URL and give it as a reference: env:NAME, file:PATH or secret-manager:….",
        )
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        return key.strip(), value


def _lay_over(content: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        inner = content.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UsageError(
                f"--set {key}: {part} holds a value, not keys.",
                "It cannot be laid over the params.",
                "Name a key that params/README.md lists.",
            )
        content = inner
    content[last] = value


def _explained(error: ValidationError, origin: str) -> UsageError:
    """The first thing pydantic found, in our words, with the nearest known key where a key is unknown."""
    lines, todo = [], "Mend it; params/README.md lists every key with its type and default."
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), _known_keys(problem["loc"][:-1]), n=1, cutoff=0.5)
            lines.append(f"unknown key {where}" + (f" (did you mean {near[0]}?)" if near else ""))
        elif problem["type"] == "missing":
            lines.append(f"{where} is missing")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {message[0].lower()}{message[1:]}")
    return UsageError(
        f"{origin}: {'; '.join(lines)}.", "A key that is not understood would silently change nothing.", todo
    )


def _known_keys(path: tuple[Any, ...]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items() if name != "folder"]


def sandbox_state(what: str) -> dict[str, Any]:
    """The state of the running default sandbox. Raises UsageError where none is up."""
    path = sandbox_folder() / "state.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        raise UsageError(
            f"The params name {what}, but no sandbox is up.",
            "There is no server to work with.",
            "Start one with `workbook sandbox up` (or `make lab`), or name your own servers in a params file.",
        ) from None
    return state


def mysql_address(section: _MySQL, folder: Path) -> tuple[str, int, str, str]:
    """Host, port, user and password of a MySQL section. The only place where a password becomes plain text.

    Raises UsageError where a secret is missing or the reference has no known form.
    """
    url = section.url
    if url.startswith("sandbox:"):
        role = url.removeprefix("sandbox:")
        state = sandbox_state(url)
        if role not in ("source", "target"):
            raise UsageError(
                f"{url!r} is no server of the sandbox.",
                "There is nothing to connect to.",
                "Write sandbox:source or sandbox:target.",
            )
        url = state[role]["url"]
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    if section.password is not None:
        password = secret(section.password, folder)
    elif password and parts.hostname not in LOOPBACK:
        raise UsageError(
            f"The URL of {parts.hostname} holds a password.",
            "It would stand in the params file, in shell histories and in backups of both.",
            "Take it out of the URL and give it as `password: env:NAME`, `file:PATH` or `secret-manager:…`.",
        )
    return parts.hostname or "", parts.port or 3306, unquote(parts.username or ""), password


def secret(reference: str, folder: Path, why: str = "The password is needed to connect.") -> str:
    """The secret behind a reference: env:NAME, file:PATH (relative to `folder`) or secret-manager:projects/P/secrets/S."""
    scheme, _, rest = reference.partition(":")
    if scheme == "env":
        value = os.environ.get(rest)
        if value is None:
            raise UsageError(
                f"The environment variable {rest} is not set.",
                why,
                f"Set {rest} before the run, or point the reference elsewhere.",
            )
        return value
    if scheme == "file":
        try:
            return (folder / rest).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise UsageError(
                f"The secret file {rest} cannot be read: {error.strerror}.",
                why,
                "Create it, readable by you alone, or point the reference elsewhere.",
            ) from None
    if scheme == "secret-manager":
        return _from_secret_manager(rest)
    raise UsageError(
        "A password in the params is not a reference.",
        "Passwords never stand in a params file.",
        "Write env:NAME, file:PATH or secret-manager:projects/P/secrets/S.",
    )


def _from_secret_manager(name: str) -> str:
    try:
        from google.cloud import secretmanager
    except ImportError:
        raise UsageError(
            f"The secret {name} is in Secret Manager, whose client is not installed.",
            "The password is needed to connect.",
            "Install it with: pip install 'migration-workbook[gcp]'",
        ) from None
    try:
        version = name if "/versions/" in name else f"{name}/versions/latest"
        return secretmanager.SecretManagerServiceClient().access_secret_version(name=version).payload.data.decode()
    except Exception as error:
        raise UsageError(
            f"The secret {name} cannot be read from Secret Manager: {type(error).__name__}.",
            "The password is needed to connect.",
            "Check its name and that this account may access it (roles/secretmanager.secretAccessor).",
        ) from None
