"""Signatures of a validation: who signed which files, and whether these still are what was signed.

A signature is a record with the hashes of what it stands for, no cryptographic one: it shows that something was changed
since, and the ledger holds a copy of it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from workbook.faces import Html
from workbook.site import shell

FILE = "signatures.json"
# The mapping as it was signed: the one that the params name is edited further.
MAPPING = "signed-mapping.yaml"
COVERED = ("validate.json", "run.json", "08_validate.ipynb", MAPPING)


@dataclass(frozen=True)
class Signature:
    """One signature: `files` holds the SHA-256 of each file of the run's folder that it stands for, `criteria` how many were met.

    `accepted` is what the mapping accepts by name, `tolerated` how many rows its tolerances let through.
    """

    signed_by: str
    signed_at: str
    environment: str
    run_id: str
    verdict: str
    criteria: int
    accepted: tuple[str, ...]
    tolerated: int
    git_commit: str | None
    params_sha256: str
    mapping_sha256: str
    snapshot: Mapping[str, Any]
    files: Mapping[str, str]
    note: str = ""

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "accepted": list(self.accepted)}


@dataclass(frozen=True)
class Signed:
    """The signatures of a run, each with what was changed since; `broken` where the file of signatures cannot be read."""

    signatures: tuple[tuple[Signature, tuple[str, ...]], ...] = ()
    broken: str = field(default="")

    @property
    def word(self) -> str:
        """signed or invalid; empty where nobody signed."""
        if self.broken or any(changed for _, changed in self.signatures):
            return "invalid"
        return "signed" if self.signatures else ""

    @property
    def changed(self) -> tuple[object, ...]:
        """What a page shows of it, to be compared: who signed, and what is no longer as it was signed."""
        return (self.broken, *((item.signed_by, item.signed_at, changed) for item, changed in self.signatures))

    @property
    def by(self) -> str:
        """Who signed."""
        return ", ".join(signature.signed_by for signature, _ in self.signatures)

    def section(self) -> Html:
        """The signatures as a part of a page; nothing where nobody signed."""
        return Html(shell.environment().get_template("signatures.html.j2").render(signed=self))


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; empty where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def covered(folder: Path) -> dict[str, str]:
    """The hashes of the files of a run that a signature stands for."""
    return {name: digest(folder / name) for name in COVERED if (folder / name).is_file()}


def read(folder: Path, of: Callable[[Path], str] = digest) -> Signed:
    """The signatures in a run's folder, each held against the files as they are now; `of` is their digest."""
    path = folder / FILE
    if not path.is_file():
        return Signed()
    try:
        content = json.loads(path.read_bytes())
        known = {item.name for item in fields(Signature)}
        made = [
            Signature(**{**{name: item[name] for name in known & set(item)}, "accepted": tuple(item["accepted"])})
            for item in content
        ]
        return Signed(tuple((item, _changed(item, folder, of)) for item in made))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Signed(broken=f"{FILE} cannot be read: {type(error).__name__}")


def write(folder: Path, signature: Signature) -> None:
    """Add a signature to those of the run's folder, in one step."""
    others = [item.asdict() for item, _ in read(folder).signatures]
    shell.write(folder / FILE, json.dumps([*others, signature.asdict()], indent=1, ensure_ascii=False))


def _changed(signature: Signature, folder: Path, of: Callable[[Path], str]) -> tuple[str, ...]:
    if signature.run_id != folder.name:
        return (f"it is the signature of another run, {signature.run_id}",)
    return tuple(
        f"{name} is gone" if not (folder / name).is_file() else f"{name} was changed after it was signed"
        for name, known in signature.files.items()
        if of(folder / name) != known
    )
