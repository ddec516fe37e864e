"""Beyond one machine: the load under Beam gives the same content, whatever happens twice, and tells nobody a password."""

import os
import pickle
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random as Dice
from typing import Any

import pytest

from conftest import Scratch
from migration import Migration
from random_tables import random_table
from workbook.beam import options, running
from workbook.beam.estimate import TERABYTE, estimate
from workbook.beam.running import Running
from workbook.bulk import fleet, shard
from workbook.bulk.crew import Task
from workbook.bulk.cutting import Cutter
from workbook.bulk.ledger import ChunkLedger
from workbook.bulk.orders import OrderBook, Orders, orders_of, read, shared_out, written
from workbook.bulk.pump import Job, move
from workbook.bulk.snapshot import take
from workbook.bulk.standing import standing
from workbook.errors import Refused, UsageError
from workbook.names import mysql_path
from workbook.wire import Address, WireError, drivers, writer

PLANTED = "Planted-%`'\"-pässword"
DATAFLOW = {
    "runner": "dataflow",
    "region": "europe-west4",
    "temp_location": "gs://bucket/folder",
    "container_image": "image",
    "subnetwork": "regions/europe-west4/subnetworks/s",
    "service_account": "a@p.iam.gserviceaccount.com",
    "source_instance": "p:europe-west4:source",
    "target_instance": "p:europe-west4:target",
}


def migration(scratch: Scratch, rows: int = 400, tables: int = 0, **keys: Any) -> Migration:
    """A database with a table of chunks, one that is hostile and some of any kind, made on the target without their rows."""
    database = scratch.database()
    scratch.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40), KEY (v))", database)
    scratch.execute(
        f"INSERT INTO t WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})"
        " SELECT n, CONCAT('row ', n) FROM c",
        database,
    )
    scratch.execute('CREATE TABLE `k%s ``"x` (v VARBINARY(40))', database)
    scratch.execute("INSERT INTO `k%s ``\"x` VALUES ('a'), ('a'), (NULL), (0x00090A5C27FF)", database)
    for number in range(tables):
        table = random_table(Dice(number), f"`random {number}`", 60)
        for statement in (table.create, *table.inserts):
            scratch.execute(statement, database)
    scratch.execute("ANALYZE TABLE t", database)
    made = Migration.of(scratch, [database], **{"bulk": {"runner": "beam", "chunk_rows": 100, "patience_s": 5}, **keys})
    made.schema()
    return made


def contents(scratch: Scratch, made: Migration) -> list[tuple[str, Any, Any]]:
    """The checksums of all tables on source and target."""
    found = []
    for table in made.catalog.tables:
        checksums = (
            server.rows(f"CHECKSUM TABLE {mysql_path(*table.path)}") for server in (scratch.source, scratch.target)
        )
        found.append((table.name, *(rows[0]["Checksum"] for rows in checksums)))
    return found


@dataclass
class Handed:
    """Orders on the target, as a fleet writes them, with nobody at work yet."""

    orders: Orders
    tasks: list[Task]
    book: OrderBook
    ledger: ChunkLedger


def handed(scratch: Scratch, made: Migration, shards: int) -> Handed:
    ledger = ChunkLedger(scratch.target, made.settings.environment)
    ledger.create(made.notes)
    ledger.begin(take(scratch.source, lambda: None))
    tables = [made.catalog.table[item.path] for item in made.mapping.in_scope]
    tasks = list(Cutter(scratch.source, ledger, tables, {}, made.settings.bulk))
    book = OrderBook(scratch.target, ledger)
    book.write(tasks, shared_out([task.chunk.path for task in tasks], {}, shards), shards)
    source, target = fleet.logins(made.settings)
    with scratch.source.session() as session:
        stood = standing(session)
    orders = Orders(source, target, book.orders, book.shards, ledger.chunks, shards, drivers()[0], 5, stood)
    return Handed(orders_of(orders.asdict()), tasks, book, ledger)


def told(pipeline: Any) -> Orders:
    """What the workers of a serialized pipeline are told."""
    from apache_beam.internal import pickler
    from apache_beam.portability.api import beam_runner_api_pb2

    for transform in pipeline.components.transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1" and transform.unique_name.startswith("Copy"):
            function = pickler.loads(beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload).do_fn.payload)[
                0
            ]
            orders: Orders = function._orders
            return orders
    raise AssertionError("no worker is told anything")


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The logs of pipelines, which go with those that went well."""
    kept: list[str] = []
    close = Running.close

    def keeping(self: Running) -> None:
        if self.log.exists():
            kept.append(self.log.read_text(encoding="utf-8"))
        close(self)

    monkeypatch.setattr(Running, "close", keeping)
    return kept


def test_the_beam_run_has_the_content_of_the_local_run_by_two_processes_and_no_log_holds_a_password(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, logs: list[str]
) -> None:
    account = scratch.account("'planted'@'%'")
    quoted = PLANTED.replace("'", "''")
    for run in (scratch.execute, scratch.execute_target_root):
        run(f"CREATE USER {account} IDENTIFIED BY '{quoted}'")
        run(f"GRANT ALL ON *.* TO {account}")
    monkeypatch.setenv("WORKBOOK_PLANTED", PLANTED)
    url = {role: f"mysql://planted@127.0.0.1:{getattr(scratch, role).port}" for role in ("source", "target")}
    made = migration(
        scratch,
        tables=6,
        source={"url": url["source"], "password": "env:WORKBOOK_PLANTED", "databases": ["x"]},
        target={"url": url["target"], "password": "env:WORKBOOK_PLANTED", "version": "9"},
        bulk={"runner": "beam", "chunk_rows": 100},
        # Each bundle twice: what is there already is passed over.
        beam={"connections": 3, "processes": 2, "options": ["--direct_runner_bundle_repeat=1"]},
    )
    beam = made.bulk()
    by_beam = contents(scratch, made)
    made.settings = made.settings.model_copy(update={"bulk": made.settings.bulk.model_copy(update={"runner": "local"})})
    local = made.bulk()
    assert by_beam == contents(scratch, made)
    assert all(source == target for _, source, target in by_beam)
    small = [
        {item.chunk.path: item.checksum for item in each.copied if item.chunk.table != "t"} for each in (beam, local)
    ]
    assert small[0] == small[1]
    assert len(small[0]) == 7
    assert beam.rows == local.rows > 404
    assert beam.deferred == local.deferred
    assert beam.pipeline is not None
    assert len(beam.pipeline.workers) == 2, "two processes must have worked"
    assert str(os.getpid()) not in {worker.rpartition(":")[2] for worker in beam.pipeline.workers}
    assert {item.worker for item in beam.copied} == {1, 2, 3}
    assert beam.losses, "the second time of each bundle is said"
    page = beam._repr_html_()
    assert "--set beam.runner=dataflow" in page
    assert logs
    for text in (*logs, page, str(beam.asdict())):
        assert PLANTED not in text
        assert PLANTED[8:12] not in text


def test_a_bundle_that_fails_half_way_is_run_again_by_beam_and_no_chunk_is_copied_twice(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner

    from workbook.bulk.pipeline import built

    made = migration(scratch)
    work = handed(scratch, made, 1)
    copied: list[str] = []
    failed: list[str] = []

    def failing(job: Job, source: Any, target: Any, *rest: Any) -> Any:
        if len(copied) == 2 and not failed:
            failed.append(job.label)
            scratch.execute_target_root(f"KILL {int(target.rows('SELECT CONNECTION_ID()')[0][0])}")
        moved = move(job, source, target, *rest)
        copied.append(job.label)
        return moved

    monkeypatch.setattr(shard, "move", failing)
    orders = replace(work.orders, patience=0)
    built(orders, [], BundleBasedDirectRunner()).run().wait_until_finish()
    assert len(failed) == 1
    assert len(copied) == len(set(copied)) == len(work.tasks) > 4
    assert work.book.workers()[0]["tries"] == 2
    assert all(source == target for _, source, target in contents(scratch, made))


def test_the_job_for_dataflow_holds_the_options_and_neither_a_password_nor_a_name_of_the_data(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apache_beam.options.pipeline_options import GoogleCloudOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
    from apache_beam.runners.dataflow.internal.apiclient import Environment

    from workbook.bulk.pipeline import built

    # Asks Cloud Storage about the bucket.
    monkeypatch.setattr(GoogleCloudOptions, "validate", lambda *_: [])
    monkeypatch.setenv("WORKBOOK_PLANTED", PLANTED)
    secret = "secret-manager:projects/p/secrets/s"
    made = migration(
        scratch,
        source={"url": "mysql://root@10.0.0.5", "password": secret, "databases": ["x"]},
        target={"url": "mysql://admin@10.0.0.6", "password": secret, "version": "9"},
        beam=DATAFLOW,
    )
    work = handed(scratch, made, 5)
    arguments = options.arguments(made.settings, "workbook-bulk-load-test", 5)
    assert options.wrong(arguments) == ""
    job = built(work.orders, [*arguments, "--dry_run=True"], DataflowRunner()).run().job
    # What is sent with it, without sending it.
    environment = Environment([], job.options, "1", "gs://bucket/pipeline.pb", job.proto_pipeline).proto
    pipeline = job.proto_pipeline.SerializeToString().decode("latin-1")
    described = f"{job.proto} {environment} {pipeline}"
    for word in (
        "subnetworks/s",
        "a@p.iam.gserviceaccount.com",
        "n2-standard-2",
        "/folder",
        "image",
        "WORKER_IP_PRIVATE",
    ):
        assert word in described, word
    assert [word in described for word in (PLANTED, made.catalog.tables[0].database, "LOAD DATA")] == [False] * 3
    # What the workers are told is in there compressed, so it is looked at as they will see it.
    assert told(job.proto_pipeline) == work.orders
    here = replace(work.orders, source=replace(work.orders.source, password="env:WORKBOOK_PLANTED"))
    kept = pickle.dumps(told(built(here, []).to_runner_api()))
    assert b"env:WORKBOOK_PLANTED" in kept
    assert [word in kept for word in (PLANTED.encode(), made.catalog.tables[0].database.encode())] == [False] * 2
    assert {"--num_workers=3", "--max_num_workers=3", "--autoscaling_algorithm=NONE"} <= set(arguments)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--no_such_option=1"], "no_such_option"),
        (["--direct_num_workers=many"], "direct_num_workers"),
        (["disk_size_gb=50"], "write --name=value"),
    ],
)
def test_an_option_that_beam_does_not_know_is_found_by_its_own_parser(given: list[str], words: str) -> None:
    assert words in options.wrong(["--job_name=x", *given])


def test_a_wrong_option_ends_the_load_before_anything_is_touched(scratch: Scratch) -> None:
    made = migration(scratch, beam={"options": ["--no_such_option=1"]})
    before = scratch.target.rows(f"SHOW CREATE TABLE {mysql_path(*made.catalog.tables[-1].path)}")
    with pytest.raises(UsageError, match="no_such_option") as caught:
        made.bulk()
    assert caught.value.exit_status == 2
    assert scratch.target.rows(f"SHOW CREATE TABLE {mysql_path(*made.catalog.tables[-1].path)}") == before


def test_without_beam_the_error_names_the_extra(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="not installed") as caught:
        migration(scratch).bulk()
    assert "migration-workbook[dataflow]" in caught.value.todo
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"beam": {**DATAFLOW, "region": None}}, "beam.region"),
        ({"beam": {**DATAFLOW, "temp_location": "/tmp"}}, "temp_location"),
        ({"beam": DATAFLOW}, "Secret Manager"),
    ],
)
def test_what_dataflow_cannot_do_with_is_refused_by_name(scratch: Scratch, keys: dict[str, Any], words: str) -> None:
    made = migration(scratch, **keys)
    with pytest.raises(UsageError, match=words):
        made.bulk()


def test_a_server_that_the_connector_cannot_reach_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    # No credentials anywhere: Google's own connector says so.
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    address = Address("target", "", 3306, "admin", PLANTED, True, "p:europe-west4:target")
    with pytest.raises(WireError, match="p:europe-west4:target: DefaultCredentialsError") as caught:
        writer(address)
    assert caught.value.lost
    assert PLANTED not in str(caught.value)


def test_a_password_in_a_url_does_not_become_part_of_a_pipeline(scratch: Scratch) -> None:
    made = migration(scratch)
    source = made.settings.source.model_copy(update={"url": "mysql://root:geheim@127.0.0.1:3306"})
    with pytest.raises(UsageError, match="holds a password") as caught:
        fleet.logins(made.settings.model_copy(update={"source": source}))
    assert "geheim" not in str(caught.value)


def test_a_source_that_changes_while_beam_starts_is_refused_before_anything_is_touched(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = migration(scratch)
    table = mysql_path(made.catalog.tables[0].database, "t")

    class Busy:
        """An application that writes while Beam's process starts, in the place of that process."""

        def __init__(self, *_: object) -> None:
            scratch.execute(f"INSERT INTO {table} VALUES (100000, 'late')")

        def close(self) -> None:
            pass

    monkeypatch.setattr(fleet, "Running", Busy)
    with pytest.raises(Refused, match="source has changed") as caught:
        made.bulk()
    assert "STOP REPLICA SQL_THREAD" in caught.value.todo
    assert "KEY `v`" in str(scratch.target.rows(f"SHOW CREATE TABLE {table}"))


def test_a_chunk_of_a_source_that_has_changed_is_not_copied_and_the_refusal_reaches_the_one_who_waits(
    scratch: Scratch,
) -> None:
    made = migration(scratch)
    work = handed(scratch, made, 1)
    table = mysql_path(made.catalog.tables[0].database, "t")
    scratch.execute(f"INSERT INTO {table} VALUES (100000, 'late')")
    assert shard.copy_shard(work.orders, 0).chunks == 0
    error = work.book.workers()[0]["error"]
    assert "source has changed" in error
    assert '"Refused"' in error
    assert scratch.target.scalar(f"SELECT COUNT(*) FROM {table}") == 0


def test_a_replica_that_applies_changes_is_refused_and_one_that_was_stopped_is_not(scratch: Scratch) -> None:
    scratch.execute("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1, SOURCE_USER = 'nobody'")
    try:
        scratch.execute("START REPLICA SQL_THREAD")
        with scratch.source.session() as session, pytest.raises(Refused, match="replica that applies changes"):
            standing(session)
        scratch.execute("STOP REPLICA SQL_THREAD")
        with scratch.source.session() as session:
            assert standing(session).values[0]
    finally:
        scratch.execute("STOP REPLICA")
        scratch.execute("RESET REPLICA ALL")


def test_two_workers_with_the_same_shard_copy_each_chunk_once_over_one_connection_each(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = migration(scratch)
    work = handed(scratch, made, 1)
    opened: list[str] = []
    for name in ("reader", "writer"):
        connect = getattr(shard, name)
        monkeypatch.setattr(
            shard, name, lambda *rest, connect=connect, name=name: (opened.append(name), connect(*rest))[1]
        )
    done: list[int] = []
    threads = [threading.Thread(target=lambda: done.append(shard.copy_shard(work.orders, 0).chunks)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [0, len(work.tasks)]
    assert sorted(opened) == ["reader", "writer", "writer"]
    assert all(source == target for _, source, target in contents(scratch, made))


def test_a_worker_that_outlives_its_load_commits_nothing_into_the_next(scratch: Scratch) -> None:
    made = migration(scratch)
    work = handed(scratch, made, 1)
    later = replace(take(scratch.source, lambda: None), taken="2030-01-01 00:00:00.000000")
    work.ledger.begin(later)
    work.ledger.plan([task.chunk for task in work.tasks])
    assert shard.copy_shard(work.orders, 0).chunks == 0
    assert '"TerminalError"' in work.book.workers()[0]["error"]
    assert {rows for name, _, rows in contents(scratch, made)} <= {0, None}


def test_an_order_holds_a_job_whole_and_refuses_what_may_be_secret() -> None:
    job = Job("label", "SELECT '%s\\\\' ", "LOAD", (1, 2), (), 7, ("UPDATE ", " WHERE x"), None, False)
    assert read(written(job)) == job
    assert read(written(job, " AND y").encode()).noted == ("UPDATE ", " WHERE x AND y")
    with pytest.raises(Refused, match="free_text on its way, which may be secret"):
        written(replace(job, free_text=(object(),)))  # type: ignore[arg-type]


def test_shards_get_the_same_share_of_the_bytes() -> None:
    large, small = ("d", "large"), ("d", "small")
    chosen = shared_out([large] * 30 + [small] * 10, {large: 3000, small: 100}, 4)
    bytes_of = [
        sum(100 if place < 30 else 10 for place, one in enumerate(chosen) if one == shard) for shard in range(4)
    ]
    assert max(bytes_of) - min(bytes_of) <= 100
    assert shared_out([small], {}, 4) == [0]


def test_what_a_terabyte_takes_is_bounded_by_the_target() -> None:
    assert estimate(TERABYTE, 4).hours == pytest.approx(10**6 / 28 / 3600)
    assert estimate(TERABYTE, 400).mb_s == 200
    assert estimate(TERABYTE, 16, target_mb_s=26).usd == pytest.approx(2 * estimate(TERABYTE, 8, target_mb_s=26).usd)


def test_the_workers_image_is_of_the_beam_that_is_installed() -> None:
    from apache_beam import version

    dockerfile = Path(running.__file__).with_name("Dockerfile").read_text()
    assert "apache/beam_python3.11_sdk:${BEAM}" in dockerfile
    assert f"ARG BEAM={version.__version__.rpartition('.')[0]}." in dockerfile
