"""Pipelines for the command line: their states, their settings, and moving them under the lock of the environment."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workbook.catalog import read_catalog
from workbook.errors import UsageError, VerdictFailed
from workbook.mapping import load_mapping
from workbook.params import Settings
from workbook.phases.context import mapping_file
from workbook.phases.ledger import Ledger, reports_folder
from workbook.phases.run import only_one
from workbook.pipelines import moving
from workbook.pipelines.moving import Move, Proof
from workbook.pipelines.order import order_of
from workbook.pipelines.readiness import CHECKS, Inspection, address_of, inspect
from workbook.pipelines.register import Register, load_register
from workbook.pipelines.settings import Rendered, render
from workbook.pipelines.standing import Standing
from workbook.pipelines.traffic import read_traffic
from workbook.servers import Server, connect_source, connect_target


def print_pipelines(settings: Settings, as_json: bool) -> None:
    """Print each pipeline with its state and its connections on both sides now."""
    register = registered(settings)
    standings = Ledger(settings.environment).pipelines()
    source, target = read_traffic(connect_source(settings)), read_traffic(connect_target(settings))
    lines = []
    for pipeline in register.pipelines:
        standing = standings.get(pipeline.name, Standing())
        lines.append(
            {
                "name": pipeline.name,
                "owner": pipeline.owner,
                "state": standing.state,
                "proven": standing.proven,
                "since": standing.at,
                "restore_point": standing.before.get("state"),
                "connections_source": len(source.sessions_of(pipeline)),
                "connections_target": len(target.sessions_of(pipeline)),
            }
        )
    console = Console()
    if as_json:
        print(json.dumps(lines, indent=1))
        return
    title = f"Pipelines of {settings.environment}; under Source and Target their connections now"
    table = Table(title=title, title_justify="left")
    for heading in ("Pipeline", "Works on", "Proven", "Since (UTC)", "Came from", "Source", "Target"):
        table.add_column(heading)
    for line in lines:
        proven = "yes" if line["proven"] else "no"
        words = (line["name"], line["state"], proven, line["since"] or "", line["restore_point"] or "")
        counts = (line["connections_source"], line["connections_target"])
        table.add_row(*(escape(str(word)) for word in (*words, *counts)))
    console.print(table)


def settings_of(settings: Settings, name: str, side: str) -> Rendered:
    """The connection settings of a pipeline towards `side`, source or target; nothing is written."""
    if side not in ("source", "target"):
        raise UsageError(f"There are no settings towards {side!r}.", "Nothing was written.", "Name source or target.")
    register = registered(settings)
    server = connect_target(settings) if side == "target" else connect_source(settings)
    return render(register.pipeline(name), side, address_of(register, side, server))


def move(
    settings: Settings,
    names: Sequence[str],
    to: str,
    wait: float,
    despite: Collection[str],
    leave_writes: bool,
    say: Callable[[str], None],
) -> None:
    """Move pipelines to a state, then prove that they are there.

    Everything is checked before anything is written. Raises VerdictFailed where the proof is missing: the pipelines
    stand where the new settings point, not proven, and the message says the way on and the way back.
    """
    with only_one(reports_folder(), settings.environment):
        planned = check_moves(settings, names, to, despite)
        begun = begin_moves(settings, planned, leave_writes, say)
        prove_moves(settings, planned, begun, wait, say)


@dataclass(frozen=True)
class Planned:
    """Moves that were checked, with what was read for it."""

    moves: tuple[Move, ...]
    register: Register
    seen: Inspection | None


#: A move that was begun: its restore point, and its number in the ledger.
Begun = tuple[Move, Mapping[str, Any], int]


def check_moves(settings: Settings, names: Sequence[str], to: str, despite: Collection[str]) -> Planned:
    """Check all moves; nothing is written. Raises Refused where one is not ready, UsageError for what does not exist."""
    register = registered(settings)
    if unknown := next((word for word in despite if word not in CHECKS), None):
        raise UsageError(
            f"There is no check {unknown!r} to pass over.",
            "Nothing was moved.",
            f"The checks are: {', '.join(CHECKS)}.",
        )
    ledger = Ledger(settings.environment)
    standings = ledger.pipelines()
    moves = moving.plan_moves(names, to, register, standings)
    source, target = connect_source(settings), connect_target(settings)
    seen = _checked(settings, moves, register, standings, source, target, despite, ledger)
    return Planned(moves, register, seen)


def registered(settings: Settings) -> Register:
    """The register that the params name. Raises UsageError where they name none."""
    if settings.pipelines_path is None:
        raise UsageError(
            "The params name no register of pipelines.",
            "Which jobs and applications there are is not known.",
            "Write one (params/pipelines.yaml is an example) and name it: `pipelines: pipelines.yaml`.",
        )
    return load_register(settings.pipelines_path)


def _checked(
    settings: Settings,
    moves: Sequence[Move],
    register: Register,
    standings: Mapping[str, Standing],
    source: Server,
    target: Server,
    despite: Collection[str],
    ledger: Ledger,
) -> Inspection | None:
    """What was read for the checks; None for moves that need none. Raises Refused where one of them does not pass."""
    if all(move.to == "retired" or move.to == move.origin for move in moves):
        return (
            None if all(move.to != "shadow" for move in moves) else _inspect(settings, register, source, target, ledger)
        )
    seen = _inspect(settings, register, source, target, ledger)
    order = order_of(register, seen.mapping, seen.catalog)
    together = {move.pipeline.name for move in moves}
    for move in moves:
        if move.to == move.origin or move.to == "shadow":
            continue
        if move.to == "target" or move.origin == "target":
            checks = [moving.order_check(move, together, order, standings)]
            if move.to == "target":
                checks = [*seen.judge(move.pipeline).checks, *checks]
            moving.refuse_unready(move, checks, despite)
    return seen


def _inspect(settings: Settings, register: Register, source: Server, target: Server, ledger: Ledger) -> Inspection:
    catalog = read_catalog(source, settings.source.databases)
    mapping = load_mapping(mapping_file(settings, ledger), catalog, emulated=settings.warehouse.endpoint is not None)
    register.check_segments(mapping.segment)
    return inspect(source, target, catalog, mapping, register)


def begin_moves(
    settings: Settings, planned: Planned, leave_writes: bool, say: Callable[[str], None], carried: bool = False
) -> tuple[Begun, ...]:
    """Note the moves and write their settings. Raises Refused, before anything is written, where one must not.

    `carried`: what was written on the target is on the source already, so that nothing stays behind.
    """
    ledger, register = Ledger(settings.environment), planned.register
    standings = ledger.pipelines()
    source, target = connect_source(settings), connect_target(settings)
    traffic = read_traffic(source), read_traffic(target)
    prepared: list[tuple[Move, Rendered | None, Path]] = []
    for move in planned.moves:
        written = moving.refuse_left_behind(
            move, standings.get(move.pipeline.name, Standing()), traffic[1], leave_writes
        )
        if written and not carried:
            say(f"{move.pipeline.name}: {written:,} writing statements of it stay on the target alone")
        server = target if move.to == "target" else source
        rendered = render(move.pipeline, move.to, address_of(register, move.to, server)) if move.renders else None
        path = moving.settings_file(move.pipeline, register, reports_folder(), settings.environment)
        moving.refuse_foreign(path, rendered)
        prepared.append((move, rendered, path))
    begun = []
    for move, rendered, path in prepared:
        standing = standings.get(move.pipeline.name, Standing())
        before = moving.restore_point(move, standing, *traffic)
        begun.append((move, before, ledger.begin_move(move.pipeline.name, move.to, before)))
        if rendered is not None:
            moving.write_settings(rendered, path)
            say(f"{move.pipeline.name}: settings towards the {move.to} are in {path}")
    return tuple(begun)


def prove_moves(
    settings: Settings, planned: Planned, begun: Sequence[Begun], wait: float, say: Callable[[str], None]
) -> tuple[Proof, ...]:
    """Look until the moves are proven, for `wait` seconds at most. Raises VerdictFailed where one is not."""
    ledger = Ledger(settings.environment)
    source, target = connect_source(settings), connect_target(settings)
    proofs = []
    deadline = time.monotonic() + wait
    for move, before, number in begun:
        say(f"{move.pipeline.name}: {move.origin} → {move.to}, proving")
        if move.to == "shadow":
            assert planned.seen is not None
            proof = moving.shadow(move, planned.seen, say)
        else:
            proof = moving.prove(move, before, source, target, max(0.0, deadline - time.monotonic()), say)
        ledger.end_move(number, proof.good, proof.lines)
        proofs.append(proof)
    _judge(planned.moves, proofs)
    return tuple(proofs)


def _judge(moves: Sequence[Move], proofs: Sequence[Proof]) -> None:
    bad = [(move, proof) for move, proof in zip(moves, proofs, strict=True) if not proof.good]
    if not bad:
        return
    names = " ".join(move.pipeline.name for move, _ in bad)
    to, origin = bad[0][0].to, bad[0][0].origin
    found = "; ".join(
        f"{proof.pipeline} ({', '.join(line for line in proof.lines if not line.startswith('proven'))})"
        for _, proof in bad
    )
    why = "A pipeline that goes on where it was writes to the wrong side, and nobody notices."
    if to == "shadow":
        why = "On the target the pipeline would read something else than now."
        todo = "Find out what differs (workbook run validate), then shadow again. The pipelines themselves were not touched."
    else:
        back = origin if origin != to else "source" if to == "target" else "target"
        todo = (
            f"Have each one read its new settings (restart it) and look again: workbook pipelines move {names} --to {to}."
            f" Or take the way back: workbook pipelines move {names} --to {back}"
        )
    raise VerdictFailed(
        f"The move to {to} is not proven for: {found}.",
        why,
        todo,
    )
