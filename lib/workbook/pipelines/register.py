"""The register of pipelines: a YAML file that names every job and application around the source, checked when it is read."""

import difflib
import re
import typing
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from workbook.errors import UsageError
from workbook.schema.tokens import code_of, tokens_of

STATES = ("source", "shadow", "target", "retired")
_WHY = "What the register does not say for certain would move a pipeline wrongly."
_TODO = "Mend it; params/README.md lists every key of the register, params/pipelines.yaml is an example."
_READS = ("SELECT", "WITH", "TABLE", "VALUES")
_LOCKS = ("INTO", "LOCK")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Address(_Section):
    """Where pipelines reach a server: often not the address that the workbook uses."""

    host: str = Field(description="host name or address as the pipelines see it")
    port: int = Field(3306, ge=1, le=65535, description="its port")

    @field_validator("host")
    @classmethod
    def _plain(cls, host: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._:\-]{1,255}", host):
            raise ValueError("must be a host name or an address")
        return host


class Connection(_Section):
    """How a pipeline is told where its database is."""

    form: Literal["env", "url", "ini", "yaml", "jdbc", "my.cnf"] = Field(
        description="the form in which it reads its connection settings"
    )
    file: str | None = Field(
        None,
        description="the file that it reads, written by a move; none: beside the ledger, for a person to carry over",
    )
    section: str | None = Field(
        None,
        description="what they stand under: the section (ini) or key (yaml), else `database`; the group (my.cnf), else `client`",
    )
    names: dict[str, str] = Field(
        default_factory=dict, description="its own names for `host`, `port`, `user`, `database`, `password`, `url`"
    )
    database: str | None = Field(None, description="the database that it uses by default")
    password: str | None = Field(
        None, description="where it finds its password: `env:NAME`, `file:PATH` or `secret-manager:…`", repr=False
    )

    @field_validator("password")
    @classmethod
    def _reference(cls, password: str | None) -> str | None:
        if password is not None and not re.fullmatch(r"(env|file|secret-manager):[^\s'\"\\]+", password):
            raise ValueError("is no reference: write env:NAME, file:PATH or secret-manager:projects/P/secrets/S")
        return password

    @field_validator("section")
    @classmethod
    def _one_word(cls, section: str | None) -> str | None:
        if section is not None and not re.fullmatch(r"[A-Za-z0-9_.\-]{1,64}", section):
            raise ValueError("must be letters, digits, dots, hyphens and underscores")
        return section

    @field_validator("names")
    @classmethod
    def _known(cls, names: dict[str, str]) -> dict[str, str]:
        for name, given in names.items():
            if name not in ("host", "port", "user", "database", "password", "url"):
                raise ValueError(f"names {name!r}, which is no setting of a connection")
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.\-]*", given):
                raise ValueError(f"gives {name} a name that not every reader understands")
        return names


class Pipeline(_Section):
    """A job or an application that reads from or writes to the source."""

    name: str = Field(description="its name, unique in the register")
    owner: str = Field(description="who answers for it")
    account: str = Field(description="the account it logs in with, `user` or `user@host`")
    kind: Literal["application", "job", "report", "import", "export", "stream"] = Field(description="what it is")
    direction: Literal["reads", "writes", "both"] = Field(description="what it does in its segments")
    segments: tuple[str, ...] = Field(description="the segments of the mapping that it works in")
    reads: tuple[str, ...] = Field((), description="segments that it only reads besides")
    program: str | None = Field(
        None, description="its `program_name` in session_connect_attrs, where it shares the account with others"
    )
    connection: Connection
    smoke: str = Field(description="a query that reads what it needs: its answer must be the same on both sides")

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,62}", name):
            raise ValueError("must be letters, digits, hyphens and underscores, at most 63")
        return name

    @field_validator("account")
    @classmethod
    def _account(cls, account: str) -> str:
        if not account.rpartition("@")[0] and "@" in account:
            raise ValueError("names no user")
        return account

    @field_validator("segments")
    @classmethod
    def _some(cls, segments: tuple[str, ...]) -> tuple[str, ...]:
        if not segments:
            raise ValueError("names no segment")
        return segments

    @field_validator("smoke")
    @classmethod
    def _reads_only(cls, smoke: str) -> str:
        return only_reads(smoke)

    @property
    def key(self) -> tuple[str, str]:
        """User and host of its account; without a host: from everywhere."""
        user, at, host = self.account.rpartition("@")
        return (user, host) if at else (host, "%")

    @property
    def writes(self) -> bool:
        """Whether it changes rows."""
        return self.direction != "reads"

    @property
    def writes_in(self) -> tuple[str, ...]:
        """The segments in which it changes rows."""
        return self.segments if self.writes else ()

    @property
    def reads_in(self) -> tuple[str, ...]:
        """The segments that it reads."""
        return self.reads if self.direction == "writes" else (*self.segments, *self.reads)


class Ignored(_Section):
    """An account, event or replica that is no pipeline, and why."""

    account: str | None = Field(None, description="`user` or `user@host`")
    event: str | None = Field(None, description="an event as `database.name`")
    replica: str | None = Field(None, description="a replica, by its server id")
    why: str = Field(description="the reason, for whoever reads the report")

    @model_validator(mode="after")
    def _one(self) -> "Ignored":
        if sum(item is not None for item in (self.account, self.event, self.replica)) != 1:
            raise ValueError("name one of account, event and replica")
        return self


class Register(_Section):
    """Every pipeline around the source."""

    source: Address | None = Field(None, description="the source, as pipelines reach it; none: as the params do")
    target: Address | None = Field(None, description="the target, as pipelines reach it; none: as the params do")
    pipelines: tuple[Pipeline, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    folder: Path = Field(Path(), exclude=True, repr=False)

    @model_validator(mode="after")
    def _unique(self) -> "Register":
        names = [pipeline.name for pipeline in self.pipelines]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"names the pipeline {twice!r} twice")
        whose: dict[tuple[tuple[str, str], str | None], str] = {}
        for pipeline in self.pipelines:
            shared = [
                other for (key, program), other in whose.items() if key == pipeline.key and _mixed(program, pipeline)
            ]
            if shared:
                raise ValueError(
                    f"lets {shared[0]} and {pipeline.name} share an account: give each its `program`, or nobody could"
                    " tell which of them has moved"
                )
            whose[pipeline.key, pipeline.program] = pipeline.name
        files = [str(pipeline.connection.file) for pipeline in self.pipelines if pipeline.connection.file]
        if twice := next((name for name in files if files.count(name) > 1), None):
            raise ValueError(f"gives the file {twice!r} to two pipelines")
        return self

    @cached_property
    def named(self) -> dict[str, Pipeline]:
        """Pipelines by name."""
        return {pipeline.name: pipeline for pipeline in self.pipelines}

    def pipeline(self, name: str) -> Pipeline:
        """The pipeline of that name. Raises UsageError, naming the nearest, where there is none."""
        if name in self.named:
            return self.named[name]
        raise UsageError(
            f"There is no pipeline {name!r} in the register." + _near(name, self.named),
            "Nothing was moved.",
            f"The pipelines are: {', '.join(self.named) or 'none'}.",
        )

    def check_segments(self, segments: Collection[str]) -> None:
        """Raise UsageError where a pipeline names a segment that the mapping does not have."""
        for pipeline in self.pipelines:
            for segment in (*pipeline.segments, *pipeline.reads):
                if segment not in segments:
                    raise UsageError(
                        f"The pipeline {pipeline.name!r} names the segment {segment!r}, which the mapping does not have."
                        + _near(segment, segments),
                        "Its tables, and with them its place in the order, would not be known.",
                        f"Name some of: {', '.join(segments)}.",
                    )


def load_register(path: Path | None) -> Register:
    """The register in a file; an empty one where the params name none. Raises UsageError for whatever it cannot hold."""
    if path is None:
        return Register()  # type: ignore[call-arg]
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(
            f"The register of pipelines {path} cannot be read: {reason}.",
            "It says who reads from and writes to the source.",
            "Mend the key `pipelines` in the params (relative to the params file), or leave it out.",
        ) from None
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}, column {place.column + 1}" if place else ""
        # The problem, not its context: the line itself could hold a password.
        raise UsageError(
            f"The register {path} is not YAML{where}: {getattr(error, 'problem', '')}.", _WHY, _TODO
        ) from None
    if not isinstance(content, dict):
        raise UsageError(f"The register {path} holds no keys.", _WHY, _TODO)
    try:
        return Register.model_validate({**content, "folder": path.resolve().parent})
    except ValidationError as error:
        raise _explained(error, path, content) from None


def _mixed(program: str | None, other: Pipeline) -> bool:
    """Whether sessions of `program` could be taken for those of another pipeline of the same account."""
    return program is None or other.program in (None, program)


def only_reads(statement: str) -> str:
    """`statement` without a final semicolon. Raises ValueError for one that does more than read."""
    code = code_of(tokens_of(statement))
    while code and code[-1].text == ";":
        statement, code = statement[: code[-1].start], code[:-1]
    first = next((token.word for token in code if token.text != "("), "")
    words = [token.word for token in code]
    if first not in _READS:
        raise ValueError(f"must begin with one of {', '.join(_READS)}")
    if any(token.text == ";" for token in code):
        raise ValueError("must be one statement")
    locks = any(words[place : place + 2] in (["FOR", "UPDATE"], ["FOR", "SHARE"]) for place in range(len(words)))
    if locks or any(word in words for word in _LOCKS):
        raise ValueError("must neither lock rows nor write INTO anything")
    return statement.strip()


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f" Did you mean {near[0]}?" if near else ""


def _explained(error: ValidationError, path: Path, content: dict[str, Any]) -> UsageError:
    """What pydantic found, in our words; values are not repeated, for one may be a password in the wrong place."""
    lines = []
    for problem in error.errors():
        where = _where(problem["loc"], content)
        if problem["type"] == "extra_forbidden":
            lines.append(
                f"{where}unknown key {problem['loc'][-1]}" + _near(str(problem["loc"][-1]), _keys(problem["loc"]))
            )
        elif problem["type"] == "missing":
            lines.append(f"{where}{problem['loc'][-1]} is missing")
        else:
            last = [str(part) for part in problem["loc"] if isinstance(part, str)]
            lines.append(f"{where}{last[-1] if last else 'the file'}: {problem['msg'].removeprefix('Value error, ')}")
    return UsageError(f"{path}: {'; '.join(lines).rstrip('.')}.", _WHY, _TODO)


def _where(location: tuple[Any, ...], content: Any) -> str:
    """The pipeline that a problem is in, by its name where it has one."""
    if len(location) > 1 and isinstance(location[1], int):
        item = content[location[0]][location[1]]
        name = item.get("name") if isinstance(item, dict) else None
        return f"{location[0]} {name or location[1] + 1}: "
    return ""


def _keys(location: tuple[Any, ...]) -> list[str]:
    model: type[BaseModel] = Register
    for part in location[:-1]:
        if isinstance(part, int) or part not in model.model_fields:
            continue
        annotation = model.model_fields[part].annotation
        inner = next((kind for kind in (annotation, *typing.get_args(annotation)) if _is_section(kind)), None)
        if inner is not None:
            model = inner
    return [name for name in model.model_fields if name != "folder"]


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
