"""The architecture, held: imports go left only; modules stay of a size that one can read."""

import ast
from pathlib import Path

import pytest

from workbook import params

PACKAGE = params.CHECKOUT / "lib" / "workbook"
# Left to right. What stands on one level may import what stands on levels before it, and its own room.
LEVELS = [
    {"errors", "looks"},
    {"faces"},
    {"names", "gtids", "wire"},
    {"progress"},
    {"params_nights", "params_cdc", "params_cutover", "params_warehouse", "params_cloud_sql"},
    {"params"},
    {"servers", "beam"},
    {"catalog"},
    {"plan"},
    {"profile", "assess", "mapping"},
    {"schema"},
    {"accounts", "bulk", "warehouse"},
    {"validate", "pipelines", "cdc"},
    {"refresh", "incremental", "marts"},
    {"points", "backups"},
    {"cutover"},
    {"rehearsal"},
    {"site"},
    {"phases", "sandbox"},
    {"cli_options"},
    {"cli_cdc", "cli_cutover"},
    {"cli", "documentation"},
]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("workbook"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("workbook.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_left(path: Path) -> None:
    own = room_of(path)
    assert own in LEVEL, f"{own} has no place in the picture: add it to LEVELS, and to the design"
    wrong = {room for room in imported_rooms(path) if room != own and LEVEL[room] >= LEVEL[own]}
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_short_enough_to_read_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    assert ast.get_docstring(ast.parse(text)) or not text.strip()
