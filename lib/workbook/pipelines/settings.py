"""Connection settings in the form that a pipeline reads: a table of forms, each with its rules for what it can hold."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import yaml

from workbook import faces
from workbook.errors import Refused
from workbook.pipelines.register import Address, Pipeline

MARK = "# Rendered by the migration workbook; a move writes this file again."


@dataclass(frozen=True)
class Rendered:
    """The settings of a pipeline towards one side. No password is in them: where it is found, at most."""

    pipeline: str
    side: str  # source or target
    form: str
    text: str

    def _repr_html_(self) -> str:
        return faces.details(f"{self.pipeline}: towards the {self.side}, as {self.form}", faces.code(self.text))


def render(pipeline: Pipeline, side: str, address: Address) -> Rendered:
    """The connection settings of `pipeline` towards `side`. Raises Refused for a value that its form cannot hold."""
    connection = pipeline.connection
    user, database = pipeline.key[0], connection.database
    values = {"host": address.host, "port": str(address.port), "user": user}
    if database is not None:
        values["database"] = database
    if connection.password is not None:
        values["password"] = connection.password
    for name, value in values.items():
        if re.search(r"[\x00-\x1f\x7f\u2028\u2029]", value):
            raise _cannot(pipeline, name, "a control character")
    form = FORMS[connection.form]
    names = {**form.names, **connection.names}
    return Rendered(pipeline.name, side, connection.form, f"{MARK}\n{form.write(pipeline, names, values)}\n")


@dataclass(frozen=True)
class Form:
    """A form of connection settings: its own names by default, the ending of its files, and how they are written."""

    names: Mapping[str, str]
    ending: str
    write: Callable[[Pipeline, Mapping[str, str], Mapping[str, str]], str]


def _env(pipeline: Pipeline, names: Mapping[str, str], values: Mapping[str, str]) -> str:
    return "\n".join(f"{names[name]}={shlex.quote(value)}" for name, value in values.items())


def _url(pipeline: Pipeline, names: Mapping[str, str], values: Mapping[str, str]) -> str:
    lines = [f"{names['url']}={shlex.quote('mysql://' + quote(values['user'], safe='') + '@' + _place(values))}"]
    if "password" in values:
        lines.append(f"{names['password']}={shlex.quote(values['password'])}")
    return "\n".join(lines)


def _jdbc(pipeline: Pipeline, names: Mapping[str, str], values: Mapping[str, str]) -> str:
    # In a properties file a backslash escapes; percent-encoded, none is left.
    lines = [f"{names['url']}=jdbc:mysql://{_place(values)}?{urlencode({'user': values['user']}, quote_via=quote)}"]
    if "password" in values:
        lines.append(f"{names['password']}={values['password']}")
    return "\n".join(lines)


def _ini(pipeline: Pipeline, names: Mapping[str, str], values: Mapping[str, str]) -> str:
    # Readers of ini files disagree on quotes, comments and %, so none of these is ever written.
    for name, value in values.items():
        if value != value.strip() or re.search("""[%;#"'\\\\=$]""", value) or not value:
            raise _cannot(pipeline, name, "a character that readers of ini files understand differently")
    lines = [f"{names[name]} = {value}" for name, value in values.items()]
    return "\n".join([f"[{pipeline.connection.section or 'database'}]", *lines])


def _yaml(pipeline: Pipeline, names: Mapping[str, str], values: Mapping[str, str]) -> str:
    content = {names[name]: int(value) if name == "port" else value for name, value in values.items()}
    text = yaml.safe_dump(
        {pipeline.connection.section or "database": content}, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text.rstrip()


def _option_file(pipeline: Pipeline, names: Mapping[str, str], values: Mapping[str, str]) -> str:
    # https://dev.mysql.com/doc/refman/8.4/en/option-files.html; other readers keep escapes, so none is written.
    for name, value in values.items():
        if value != value.strip() or re.search(r"""["'\\#]""", value) or not value:
            raise _cannot(pipeline, name, "a character that readers of option files understand differently")
    # A client has no option for a reference, so it stands in a comment.
    lines = [
        f"# password: from {value}" if name == "password" else f"{names[name]}={value}"
        for name, value in values.items()
    ]
    return "\n".join([f"[{pipeline.connection.section or 'client'}]", *lines])


_PLAIN = {"host": "host", "port": "port", "user": "user", "database": "database", "password": "password_from"}
FORMS: Mapping[str, Form] = {
    "env": Form({name: f"DB_{given.upper()}" for name, given in _PLAIN.items()}, "env", _env),
    "url": Form({"url": "DATABASE_URL", "password": "DATABASE_PASSWORD_FROM"}, "env", _url),
    "ini": Form(_PLAIN, "ini", _ini),
    "yaml": Form(_PLAIN, "yaml", _yaml),
    "jdbc": Form({"url": "jdbc.url", "password": "jdbc.password_from"}, "properties", _jdbc),
    "my.cnf": Form(_PLAIN, "cnf", _option_file),
}


def _place(values: Mapping[str, str]) -> str:
    host = f"[{values['host']}]" if ":" in values["host"] else values["host"]
    return f"{host}:{values['port']}/{quote(values.get('database', ''), safe='')}"


def _cannot(pipeline: Pipeline, name: str, holds: str) -> Refused:
    return Refused(
        f"The {name} of the pipeline {pipeline.name} holds {holds}.",
        f"Settings of the form {pipeline.connection.form} that hold it could be read as something else.",
        "Give the pipeline another form in the register (yaml holds every name), or rename what has it.",
    )
