"""The options that commands share, and what each of them does with these first."""

import os
from pathlib import Path
from typing import Annotated

import typer

from workbook import params

ParamsFile = Annotated[Path, typer.Option("--params", "-p", help="the params file")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="key=value, laid over the params; may be repeated")]
Reports = Annotated[
    Path | None,
    typer.Option("--reports", envvar="WORKBOOK_REPORTS", help="where runs land; reports/ in the checkout by default"),
]


def loaded(params_file: Path, sets: list[str] | None) -> params.Settings:
    """The settings in a params file, with what --set lays over it."""
    return params.load(params_file, dict(params.override(text) for text in sets or []))


def use_reports(reports: Path | None) -> None:
    """Have runs land in that folder."""
    # Notebooks run in processes of their own: the environment tells them too.
    if reports is not None:
        os.environ["WORKBOOK_REPORTS"] = str(reports.resolve())


def say(text: str) -> None:
    """A line for a person: on standard error, so that standard output stays for results."""
    typer.echo(text, err=True)
