"""Bad input: three parts, the documented exit status, and no half-written run folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import Scratch
from workbook.names import quote_mysql


class Attempt:
    """A params file that can be spoilt, and what the command line says to it."""

    def __init__(self, scratch: Scratch):
        self.scratch = scratch
        self.database = scratch.database()
        scratch.execute("CREATE TABLE t (id INT PRIMARY KEY)", self.database)
        self.path = scratch.params([self.database])
        self.reports = scratch.folder / "reports"

    def change(self, section: str, **keys: object) -> None:
        content = yaml.safe_load(self.path.read_text())
        if section:
            content[section].update(keys)
        else:
            content.update(keys)
        self.path.write_text(yaml.safe_dump(content))

    def run(self, *words: str, reports: Path | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "workbook.cli", *(words or ("run",)), "-p", str(self.path)],
            env={**os.environ, "WORKBOOK_REPORTS": str(reports or self.reports)},
            capture_output=True,
            text=True,
        )

    def no_run_folder(self) -> bool:
        return not list(self.reports.glob("2*"))


@pytest.fixture
def attempt(scratch: Scratch) -> Attempt:
    return Attempt(scratch)


def told(answer: "subprocess.CompletedProcess[str]", status: int, *words: str) -> None:
    assert answer.returncode == status, answer.stderr
    for word in (*words, "Why it matters:", "What to do:"):
        assert word in answer.stderr, answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_unknown_key_is_refused_with_the_nearest(attempt: Attempt) -> None:
    attempt.change("", bulk={"worker": 3})
    told(attempt.run(), 2, "unknown key bulk.worker", "did you mean workers")
    assert attempt.no_run_folder()


def test_a_missing_secret_is_named(attempt: Attempt) -> None:
    attempt.change("source", password="env:WORKBOOK_NO_SUCH_VARIABLE")
    told(attempt.run(), 2, "WORKBOOK_NO_SUCH_VARIABLE is not set")
    assert attempt.no_run_folder()


def test_an_unreachable_server_is_named(attempt: Attempt) -> None:
    attempt.change("target", url="mysql://admin@127.0.0.1:1")
    told(attempt.run(), 3, "target at 127.0.0.1:1 cannot be reached")
    assert attempt.no_run_folder()


def test_an_unreachable_warehouse_is_named(attempt: Attempt) -> None:
    attempt.change("warehouse", endpoint="http://127.0.0.1:1")
    told(attempt.run("run", "warehouse"), 3, "warehouse local-project at http://127.0.0.1:1 cannot be reached")
    assert attempt.no_run_folder()


def test_a_wrong_password_is_told_without_being_shown(attempt: Attempt) -> None:
    secret = attempt.scratch.folder / "wrong"
    secret.write_text("wr0ng-s3cret")
    attempt.change("source", password=f"file:{secret}")
    answer = attempt.run()
    told(answer, 3, "source at 127.0.0.1", "refuses the login of 'root'")
    assert "wr0ng-s3cret" not in answer.stderr + answer.stdout
    assert attempt.no_run_folder()


def test_a_missing_privilege_is_named(attempt: Attempt) -> None:
    account = attempt.scratch.account("'poor'@'%'")
    attempt.scratch.execute(f"CREATE USER {account} IDENTIFIED BY 'pw'")
    attempt.scratch.execute(f"GRANT SELECT ON {quote_mysql(attempt.database)}.* TO {account}")
    port = attempt.scratch.source.port
    secret = attempt.scratch.folder / "poor"
    secret.write_text("pw")
    attempt.change("source", url=f"mysql://poor@127.0.0.1:{port}", password=f"file:{secret}")
    assert attempt.run("run", "profile", "map").returncode == 0
    told(attempt.run("run", "accounts"), 3, "poor")


def test_a_table_that_is_on_the_target_already_is_refused_and_kept(attempt: Attempt) -> None:
    name = quote_mysql(attempt.database)
    attempt.scratch.execute_target_root(f"CREATE DATABASE {name}")
    attempt.scratch.execute_target_root(f"CREATE TABLE {name}.t (mine INT)")
    attempt.scratch.execute_target_root(f"INSERT INTO {name}.t VALUES (1)")
    told(attempt.run("run", "profile", "map", "schema"), 3, "t")
    assert attempt.scratch.execute_target_root(f"SELECT * FROM {name}.t") == [(1,)]


def test_an_unknown_phase_is_refused_with_the_nearest(attempt: Attempt) -> None:
    told(attempt.run("run", "validat"), 2, "no phase 'validat'", "Did you mean validate")
    assert attempt.no_run_folder()


def test_a_rollback_before_anything_was_done_is_refused(attempt: Attempt) -> None:
    told(attempt.run("rollback", "schema"), 2, "Nothing was done yet")
    assert attempt.no_run_folder()


def test_a_malformed_mapping_is_told_with_its_line(attempt: Attempt) -> None:
    mapping = attempt.scratch.folder / "mapping.yaml"
    mapping.write_text("version: 1\nsegments:\n  main:\n    scoop: in\n")
    attempt.change("", mapping=str(mapping))
    told(attempt.run("run", "map"), 2, "scoop", "scope")


def test_a_missing_mapping_file_is_named(attempt: Attempt) -> None:
    attempt.change("", mapping="no/such.yaml")
    told(attempt.run("run", "schema"), 2, "no mapping file")
    assert attempt.no_run_folder()


def test_a_full_disk_for_reports_is_told_and_leaves_nothing(attempt: Attempt) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk that is full")
    small = attempt.scratch.folder / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"this machine lets nobody mount a small disk: {mounted.stderr.strip()}")
    try:
        told(attempt.run(reports=small / "reports"), 3, "has less than 32 MB left")
        assert not list((small / "reports").glob("2*"))
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_reports_folder_that_cannot_be_written_is_told(attempt: Attempt) -> None:
    blocked = attempt.scratch.folder / "file"
    blocked.write_text("not a folder")
    told(attempt.run(reports=blocked / "reports"), 3, "cannot be written")


def test_a_wrong_word_on_the_command_line_is_2(attempt: Attempt) -> None:
    answer = attempt.run("run", "--no-such-option")
    assert answer.returncode == 2
    assert "No such option" in answer.stderr


def test_a_parameter_that_no_notebook_knows_is_refused(attempt: Attempt) -> None:
    from workbook.errors import UsageError
    from workbook.phases import open_phase

    with pytest.raises(UsageError, match=r"Unknown parameter 'sorce'.*Did you mean source"):
        open_phase("profile", {"params_file": str(attempt.path), "sorce": {"url": "x"}})
