"""The tables of the READMEs, written from the code's own tables: `python -m workbook.documentation` brings them up to date."""

import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from workbook import errors
from workbook.assess import checks
from workbook.beam import estimate
from workbook.catalog import mariadb
from workbook.cdc import letters
from workbook.incremental import ways
from workbook.mapping import cleaning, flow, requirements, target, tolerances
from workbook.mapping import types as type_map
from workbook.marts import files as marts
from workbook.params import CHECKOUT, Settings
from workbook.pipelines.register import Address, Connection, Ignored, Pipeline
from workbook.profile import personal
from workbook.schema import rules
from workbook.validate import canonical, defects, settings


def keys() -> str:
    """The keys of a params file as a Markdown table."""
    lines = ["| key | type | default | what it is |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        if name == "folder":
            continue
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            for inner, its in section.model_fields.items():
                lines.append(_row(f"{field.alias or name}.{inner}", its))
        else:
            lines.append(_row(field.alias or name, field))
    return "\n".join(lines)


def register() -> str:
    """The keys of a register of pipelines as a Markdown table."""
    lines = ["| key | type | default | what it is |", "| --- | --- | --- | --- |"]
    sections = (
        ("source.", Address),
        ("target.", Address),
        ("pipelines[].", Pipeline),
        ("pipelines[].connection.", Connection),
        ("ignored[].", Ignored),
    )
    for prefix, model in sections:
        for name, field in model.model_fields.items():
            if field.annotation is not Connection:
                lines.append(_row(f"{prefix}{name}", field))
    return "\n".join(lines)


def error_tree() -> str:
    """The errors with their exit status, from their module's docstring."""
    return "```\n" + (errors.__doc__ or "").split("\n\n", 1)[1].strip() + "\n```"


# The READMEs, each with its tables by the name of their marks.
READMES: dict[Path, dict[str, Callable[[], str]]] = {
    CHECKOUT / "params" / "README.md": {
        "keys": keys,
        "register": register,
        "requirements": requirements.markdown,
        "tolerances": tolerances.markdown,
        "target": target.markdown,
        "flow": flow.markdown,
        "options": rules.markdown,
        "ways": ways.markdown,
        "types": type_map.markdown,
        "mariadb": mariadb.markdown,
        "cleaning": cleaning.markdown,
        "checks": checks.markdown,
        "personal": personal.markdown,
        "defects": defects.markdown,
        "settings": settings.markdown,
        "errors": error_tree,
    },
    Path(estimate.__file__).with_name("README.md"): {"terabyte": estimate.markdown},
    Path(letters.__file__).with_name("README.md"): {"letters": letters.markdown},
    Path(canonical.__file__).with_name("README.md"): {"encoding": canonical.markdown},
    Path(marts.__file__).with_name("README.md"): {"header": marts.markdown},
}


def written(path: Path) -> str:
    """The text of a README with the part between each pair of marks replaced by its table."""
    text = path.read_text(encoding="utf-8")
    for name, table in READMES[path].items():
        mark = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->", re.S)
        if len(mark.findall(text)) != 1:
            raise ValueError(f"{path.relative_to(CHECKOUT)} needs one pair of marks for {name}")
        before, after = mark.split(text)
        text = f"{before}<!-- {name} -->\n{table()}\n<!-- /{name} -->{after}"
    return text


def write() -> None:
    """Bring the tables of the READMEs up to date."""
    for path in READMES:
        path.write_text(written(path), encoding="utf-8")


def _row(name: str, field: Any) -> str:
    default = "required" if field.is_required() else f"`{field.default}`"
    if field.default in (None, ()) or field.default_factory is not None:
        default = "none"
    return f"| `{name}` | {_kind(field.annotation)} | {default} | {field.description or ''} |"


def _kind(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return _kind(next(kind for kind in inner if kind is not type(None)))
    if origin is tuple:
        return "list of text"
    if origin is dict:
        return "pairs of text"
    return {str: "text", int: "number", bool: "true or false", float: "number"}.get(annotation, str(annotation))


if __name__ == "__main__":
    write()
