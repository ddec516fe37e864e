"""Events at the cutover: they fire on the side that applications write to, and nowhere else, over and back and over again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import Scratch
from stream import Stream
from workbook.cutover import State
from workbook.cutover.events import Clock, Event, Handover
from workbook.cutover.gate import LOCKS, READ_ONLY, Gate, close, open_again, plan_gate, refuse_foreign
from workbook.errors import Refused, VerdictFailed
from workbook.names import mysql_path, mysql_string, quote_mysql
from workbook.phases import open_phase
from workbook.phases.cutover import cut_over
from workbook.phases.ledger import Ledger
from workbook.rehearsal.standing import differences, standing
from workbook.servers import Server

PASSWORD = "never-to-be-shown-4"
# With a name of 64 characters, the longest that there is.
EVENT = 'tick %s `of" 尺' + "\\ü" * 25
TABLES = """
CREATE TABLE ticks (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64) NOT NULL, port INT NOT NULL);
CREATE TABLE keyless (a INT);
INSERT INTO keyless VALUES (1)
"""


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBOOK_REPORTS", str(tmp_path / "reports"))
    return tmp_path / "reports"


@dataclass
class Ticking:
    """A migrated database with events that note every second where they fired."""

    stream: Stream
    database: str

    @property
    def scratch(self) -> Scratch:
        return self.stream.migration.scratch

    @property
    def state(self) -> State:
        return State.read(Ledger(self.stream.settings.environment))

    def ask(self, role: str, sql: str) -> list[tuple[Any, ...]]:
        run = self.scratch.execute if role == "source" else self.scratch.execute_target_root
        return list(run(sql, self.database))

    def over(self, to: str) -> None:
        phase = open_phase("cutover", {"params_file": str(self.stream.file), "overrides": {"cutover.to": to}})
        phase.finish(cut_over(phase))

    def statuses(self, role: str) -> dict[str, str]:
        sql = f"SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{self.database}'"
        return {name: status.replace("SLAVESIDE", "REPLICA_SIDE") for name, status in self.ask(role, sql)}

    def fires_on(self, role: str, other: str, *names: str) -> None:
        """These events fire there and no others, and none on the other side, whose writes would have come here too."""

        def counted(side: str) -> dict[tuple[str, int], int]:
            rows = self.ask(side, "SELECT name, port, COUNT(*) FROM ticks GROUP BY name, port")
            return {(name, port): count for name, port, count in rows}

        ports = {side: self.scratch.state["servers"][side]["port"] for side in (role, other)}
        before, deadline = counted(role), time.monotonic() + 30
        while any(counted(role).get((name, ports[role]), 0) < before.get((name, ports[role]), 0) + 2 for name in names):
            assert time.monotonic() < deadline, f"not all of {names} fire on the {role}: {counted(role)}"
            time.sleep(0.2)
        for side in ports:
            new = {key for key, count in counted(side).items() if count > before.get(key, 0)}
            assert new <= {(name, ports[role]) for name in names}, f"on the {side}"


@pytest.fixture
def ticking(scratch: Scratch) -> Iterator[Ticking]:
    """On the source its scheduler is at work; one event is disabled, and one left to a server that this one would replicate."""
    database = scratch.database()
    scratch.script(TABLES.strip() + "\n", database)
    clock = scratch.account("'clock ü'@'%'")
    scratch.execute(f"CREATE USER {clock} IDENTIFIED BY '{PASSWORD}'")
    scratch.execute(f"GRANT SELECT, INSERT, EVENT ON {mysql_path(database)}.* TO {clock}")
    for name, end in ((EVENT, ""), ("stopped", ""), ("quiet", "DISABLE"), ("not here", "DISABLE ON SLAVE")):
        scratch.execute(
            f"CREATE DEFINER = {clock} EVENT {quote_mysql(name)} ON SCHEDULE EVERY 1 SECOND {end}"
            f" DO INSERT INTO ticks (name, port) VALUES ({mysql_string(name)}, @@port)",
            database,
        )
    scratch.execute("SET GLOBAL event_scheduler = ON")
    stream = Stream.of(scratch, [database])
    stream.migration.accounts()
    open_phase("cdc", {"params_file": str(stream.file)})
    stream.set_up()
    process = stream.command("cdc", "run")
    try:
        stream.wait_for(lambda: stream.told().get("state") == "running")
        yield Ticking(stream, database)
    finally:
        process.terminate()
        print(process.communicate()[0][-3000:])
        scratch.execute("RESET PERSIST")
        scratch.execute("SET GLOBAL read_only = OFF")
        scratch.execute("SET GLOBAL event_scheduler = OFF")
        scratch.execute_target_root("SET GLOBAL event_scheduler = ON")
        for run in (scratch.execute, scratch.execute_target_root):
            run("DROP DATABASE IF EXISTS _workbook")


def test_events_fire_where_applications_write_and_nowhere_else(ticking: Ticking) -> None:
    """Over and back where the scheduler is what closes the source, and over again beside another database, by each event."""
    scratch, database = ticking.scratch, ticking.database
    servers = {"source": scratch.source, "target": scratch.target}
    before = {role: standing(server, [database]) for role, server in servers.items()}

    def as_before() -> None:
        found = [line for role, server in servers.items()
                 for line in differences(role, before[role], standing(server, [database]))]  # fmt: skip
        assert not found
        ticking.fires_on("source", "target", EVENT, "stopped")

    # Where nothing would fire, that is said before anything is touched.
    scratch.execute_target_root("SET GLOBAL event_scheduler = OFF")
    with pytest.raises(Refused, match=r"event scheduler is OFF, and 2 events are to fire there: .*stopped"):
        ticking.over("target")
    scratch.execute_target_root("SET GLOBAL event_scheduler = ON")
    ticking.ask("target", "INSERT INTO keyless VALUES (2)")
    with pytest.raises(VerdictFailed, match="keyless"):
        ticking.over("target")
    as_before()
    ticking.ask("target", "DELETE FROM keyless WHERE a = 2")

    ticking.over("target")
    ticking.fires_on("target", "source", EVENT, "stopped")
    asleep = {"quiet": "DISABLED", "not here": "DISABLED"}
    assert ticking.statuses("target") == {EVENT: "ENABLED", "stopped": "ENABLED", **asleep}
    assert ticking.state.gates["source"]["way"] == READ_ONLY
    assert ticking.ask("source", "SELECT @@GLOBAL.event_scheduler") == [("OFF",)]
    # What is done to the events on the target is done to those of the source by the way back.
    ticking.ask("target", "ALTER EVENT stopped DISABLE")
    ticking.ask(
        "target", "CREATE EVENT later ON SCHEDULE EVERY 1 SECOND DO INSERT INTO ticks (name, port) VALUES ('l', 1)"
    )
    with pytest.raises(Refused, match=r"1 events fire on the target and are not on the source: .*later"):
        ticking.over("source")
    ticking.ask("target", "DROP EVENT later")
    ticking.ask("target", "DELETE FROM ticks WHERE name = 'l'")
    ticking.over("source")
    ticking.fires_on("source", "target", EVENT)
    apart = {"quiet": "DISABLED", "not here": "REPLICA_SIDE_DISABLED"}
    assert ticking.statuses("source") == {EVENT: "ENABLED", "stopped": "DISABLED", **apart}
    assert ticking.ask("source", "SELECT @@GLOBAL.event_scheduler") == [("ON",)]
    assert ticking.ask("source", "SELECT * FROM performance_schema.persisted_variables") == []
    # And the second time the source's choice of now counts, not that of the first.
    ticking.ask("source", "ALTER DEFINER = 'clock ü'@'%' EVENT quiet ENABLE")
    scratch.database()
    ticking.over("target")
    ticking.fires_on("target", "source", EVENT, "quiet")
    assert ticking.statuses("target")["stopped"] == "DISABLED"
    assert ticking.state.gates["source"]["way"] == LOCKS
    assert ticking.statuses("source") == {EVENT: "DISABLED", "stopped": "DISABLED", **apart}
    sql = f"SELECT DISTINCT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{database}'"
    assert ticking.ask("source", sql) == [("clock ü@%",)]


def test_events_of_others_are_refused_with_the_grant_and_keep_their_definer(scratch: Scratch) -> None:
    """One that runs while its server is closed gets the grace of a transaction, then it ends."""
    other, database = scratch.database(), scratch.database()
    scratch.execute("CREATE TABLE ticks (id INT AUTO_INCREMENT PRIMARY KEY)", database)
    clock, mover = scratch.account("'clock \\\\ü'@'%'"), scratch.account("'mover'@'%'")
    for account in (clock, mover):
        scratch.execute(f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
    scratch.execute(f"GRANT SELECT, INSERT, EVENT ON {mysql_path(database)}.* TO {clock}")
    scratch.execute(f"GRANT SELECT, PROCESS, CREATE USER, EVENT ON *.* TO {mover}")
    scratch.execute(f"GRANT CONNECTION_ADMIN, XA_RECOVER_ADMIN ON *.* TO {mover}")
    name = "slow %s `尺"
    with scratch.source_root_connection(database) as cursor:
        cursor.execute("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES', time_zone = '+03:00'")
        cursor.execute(
            f"CREATE DEFINER = `clock \\ü`@`%` EVENT {quote_mysql(name)} ON SCHEDULE EVERY 2 SECOND"
            " DO BEGIN DO SLEEP(60); INSERT INTO ticks VALUES (); END"
        )
    scratch.execute(
        f"CREATE EVENT `from outside` ON SCHEDULE EVERY 1 HOUR STARTS '2050-01-01' DO DELETE FROM {database}.ticks",
        other,
    )
    login = Server("source", "127.0.0.1", scratch.state["servers"]["source"]["port"], "mover", PASSWORD)
    sql = (
        "SELECT EVENT_NAME, STATUS, DEFINER, SQL_MODE, TIME_ZONE, CHARACTER_SET_CLIENT, EVENT_DEFINITION, STARTS"
        f" FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{database}'"
    )
    running = "SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE NAME = 'thread/sql/event_worker'"
    scratch.execute("SET GLOBAL event_scheduler = ON")
    try:
        before = scratch.execute(sql)
        gate = plan_gate(login, [database])
        assert (gate.way, [event.name for event in gate.events]) == (LOCKS, [name])
        assert f"event `{other}`.`from outside`" in gate.passing
        with pytest.raises(
            Refused, match=r"(?s)lacks SET_ANY_DEFINER\..*GRANT SET_ANY_DEFINER ON \*\.\* TO 'mover'@'%'"
        ):
            refuse_foreign(login, gate)
        scratch.execute(f"GRANT SET_ANY_DEFINER ON *.* TO {mover}")
        refuse_foreign(login, gate)
        deadline = time.monotonic() + 30
        while not scratch.execute(running):
            assert time.monotonic() < deadline, "the event does not fire"
            time.sleep(0.1)
        close(login, gate, 0.3, lambda text: None)
        assert scratch.execute(running) == []
        assert scratch.execute(sql) == [(name, "DISABLED", *before[0][2:])]
        open_again(login, gate)
        assert scratch.execute(sql) == before
        assert scratch.execute("SELECT COUNT(*) FROM ticks", database) == [(0,)]
        # Root's own events need more than that: a login of less may not act in the name of SYSTEM_USER.
        scratch.execute("CREATE EVENT of_root ON SCHEDULE EVERY 1 HOUR STARTS '2050-01-01' DO SET @x = 1", database)
        with pytest.raises(Refused, match="lacks SYSTEM_USER"):
            refuse_foreign(login, plan_gate(login, [database]))
    finally:
        scratch.execute("SET GLOBAL event_scheduler = OFF")
        for (number,) in scratch.execute(running):
            scratch.execute(f"KILL {number}")


def test_what_one_side_alone_has_stays_as_it_was_and_what_is_lost_is_refused_or_said() -> None:
    def clock(database: str, scheduler: str, **events: bool) -> Clock:
        found = {(database, name): Event(database, name, ("u", "%"), ()) for name in events}
        return Clock(found, frozenset(path for path in found if events[path[1]]), scheduler)

    source = clock("a", "ON", both=True, off=False, here=True)
    target = clock("b", "ON", both=False, off=True, there=True)
    over = Handover("target", source, target, {"a": "b"})
    assert over.wanted == {("b", "both"), ("b", "there")}
    with pytest.raises(Refused, match=r"1 events fire on the source and are not on the target: `b`.`here`"):
        over.refuse((), ())
    assert over.refuse([("b", "here")], ()) == ["2 events will fire there"]
    assert "will not fire: `b`.`here`" in over.refuse((), ("events",))[1]
    # Each event was switched off when the server was closed, or all of them by its scheduler.
    each = Gate("target", LOCKS, events=tuple(target.events.values())).opening(over)
    assert ([item.name for item in each.fires], each.rests) == (["both", "there"], ())
    whole = Gate("target", READ_ONLY, scheduler=True).opening(over)
    assert [[item.name for item in chosen] for chosen in (whole.fires, whole.rests)] == [["both"], ["off"]]
    assert Gate.of(whole.asdict()) == whole
    # Where the target's scheduler is off nobody chose for each event: the source's are as they were.
    back = Handover("source", clock("b", "OFF", both=False), source, {"b": "a"})
    assert back.wanted == {("a", "both"), ("a", "here")}
    silent = Handover("source", clock("b", "ON", both=True), clock("a", "OFF", both=True, off=True), {"b": "a"})
    assert silent.refuse((), ()) == ["the event scheduler there is OFF: 1 events will not fire: `a`.`both`"]
    assert Gate("source", LOCKS).opening(silent).rests == ()
