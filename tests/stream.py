"""A stream under test: a migration of scratch databases whose source goes on changing, followed by the real engine."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import Scratch
from migration import Migration
from workbook import params
from workbook.catalog import read_catalog
from workbook.cdc import Follower, Ledger, set_up
from workbook.cdc.history import COMPLETE
from workbook.mapping import load_mapping, merge
from workbook.names import mysql_path
from workbook.params import Settings
from workbook.phases.ledger import reports_folder
from workbook.servers import Server
from workbook.validate.content import Servers, compare_table


@dataclass
class Stream:
    """One environment whose copy is loaded, and whose changes can be followed."""

    migration: Migration
    file: Path
    folder: Path
    said: list[str] = field(default_factory=list)
    error: BaseException | None = None
    _thread: threading.Thread | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def of(
        cls, scratch: Scratch, databases: list[str], edit: Callable[[str], str] = lambda text: text, **keys: Any
    ) -> Stream:
        """Schema and rows are on the target, by a mapping that `edit` may change; changes from here on are the stream's."""
        catalog = read_catalog(scratch.source, databases)
        path = scratch.folder / f"mapping-{secrets.token_hex(4)}.yaml"
        path.write_text(edit(merge(None, catalog, None, True)))
        file = scratch.params(databases, mapping=str(path), **keys)
        settings = params.load(file)
        migration = Migration(scratch, settings, catalog, load_mapping(path, catalog, emulated=True))
        migration.schema()
        migration.bulk()
        return cls(migration, file, reports_folder() / f"{settings.environment}.cdc")

    @property
    def settings(self) -> Settings:
        return self.migration.settings

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.environment)

    @property
    def target(self) -> Server:
        return self.migration.scratch.target

    def set_up(self) -> None:
        made = self.migration
        set_up(
            made.scratch.source,
            made.scratch.target,
            read_catalog(made.scratch.source, made.settings.source.databases),
            made.mapping,
            made.settings,
            made.notes,
            self.folder,
            made.settings.mapping_path.read_text() if made.settings.mapping_path else "",
            self.said.append,
        )

    def make(self) -> Follower:
        """A follower of this stream that has not begun."""
        self.set_up()
        made = self.migration
        return Follower(
            made.scratch.source, self.target, made.catalog, made.mapping, made.settings, self.folder, self.said.append
        )

    def start(self) -> Stream:
        """Follow the source in a thread; once the first start has read definitions, which may change from then on."""
        follower = self.make()
        self._stop.clear()
        self.error = None

        def run() -> None:
            try:
                follower.run(self._stop.is_set)
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        while self._thread.is_alive() and not (self.folder / COMPLETE).exists():
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)
            assert not self._thread.is_alive()

    def command(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """`workbook` with these words, as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "workbook.cli", *words, "-p", str(self.file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    def told(self) -> dict[str, Any]:
        """What the running process last wrote of itself."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "status.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def caught_up(self, seconds: float = 90, pause: float = 0.1) -> None:
        """Wait until the target has every transaction that the source has executed by now."""
        wanted = self.migration.scratch.execute("SELECT @@GLOBAL.gtid_executed")[0][0]
        self.wait_for(lambda: self._covers(wanted), seconds, pause)

    def _covers(self, wanted: str) -> bool:
        position = self.ledger.position(self.target)
        if position is None:
            return False
        return bool(self.target.scalar("SELECT GTID_SUBSET(%s, %s)", (wanted, position.gtids)))

    def wait_for(self, what: Callable[[], bool], seconds: float = 90, pause: float = 0.1) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            if self.error is not None:
                raise self.error
            assert time.monotonic() < deadline, f"not within {seconds} s; {self.said[-3:]}"
            time.sleep(pause)

    def differences(self) -> dict[str, Any]:
        """Tables in scope whose whole content is not the same on both sides, with what the validation says of them."""
        scratch, found = self.migration.scratch, {}
        catalog = read_catalog(scratch.source, self.settings.source.databases)
        for item in self.migration.mapping.in_scope:
            if item.path not in catalog.table:
                continue
            (verdict,) = compare_table(
                Servers(scratch.source, scratch.target, None), catalog.table[item.path], item, self.settings
            )
            if verdict.verdict != "same":
                found[mysql_path(*item.path)] = verdict
        return found
