"""Settings: what a params file may hold, and how each mistake is told."""

from pathlib import Path

import pytest

from workbook import params
from workbook.errors import UsageError
from workbook.pipelines import load_register

GOOD = """\
environment: test
source: {url: "mysql://reader@127.0.0.1:3306", databases: [shop]}
target: {url: "mysql://admin@127.0.0.1:3307", password: "env:WORKBOOK_TEST_SECRET"}
warehouse: {project: local-project, dataset: shop}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_params_file_becomes_settings_with_safe_defaults(tmp_path: Path) -> None:
    settings = params.load(written(tmp_path, GOOD))
    assert settings.source.databases == ("shop",)
    assert settings.target.flavour == "cloud-sql"
    assert settings.validate_.show_values is False
    assert settings.mapping_path is None


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            "environment:",
            "enviroment:",
            ["unknown key enviroment", "did you mean environment", "environment is missing"],
        ),
        ("databases: [shop]", "database: [shop]", ["source.database ", "did you mean databases"]),
        ("databases: [shop]", "databases: []", ["names no database"]),
        ("databases: [shop]", "databases: [mysql]", ["belongs to the server itself"]),
        ("mysql://reader@127.0.0.1:3306", "postgres://x@y", ["must look like mysql://"]),
        ("mysql://admin@127.0.0.1:3307", "mysql://reader@127.0.0.1:3306", ["same server"]),
        ("project: local-project", "project: x", ["6 to 30"]),
        ("dataset: shop", "dataset: 'a b'", ["letters, digits and underscores"]),
        ("environment: test", "environment: [", ["is not YAML at line"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_nearest_known_key(
    tmp_path: Path, before: str, after: str, words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        params.load(written(tmp_path, GOOD.replace(before, after)))
    for word in words:
        assert word in caught.value.found, caught.value.found
    assert caught.value.exit_status == 2
    assert caught.value.why
    assert caught.value.todo


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no params file"):
        params.load(tmp_path / "none.yaml")


def test_a_missing_secret_is_named_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = params.load(written(tmp_path, GOOD))
    monkeypatch.delenv("WORKBOOK_TEST_SECRET", raising=False)
    with pytest.raises(UsageError, match="WORKBOOK_TEST_SECRET is not set"):
        params.mysql_address(settings.target, settings.folder)
    monkeypatch.setenv("WORKBOOK_TEST_SECRET", "s3cret-value")
    assert params.mysql_address(settings.target, settings.folder)[3] == "s3cret-value"
    assert "s3cret-value" not in repr(settings)
    assert "s3cret-value" not in settings.model_dump_json()


def test_a_secret_file_is_relative_to_the_params_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    settings = params.load(written(tmp_path, GOOD.replace("env:WORKBOOK_TEST_SECRET", "file:secret")))
    assert params.mysql_address(settings.target, settings.folder)[3] == "from a file"
    (tmp_path / "secret").unlink()
    with pytest.raises(UsageError, match="secret file secret cannot be read"):
        params.mysql_address(settings.target, settings.folder)


def test_a_password_that_is_no_reference_is_refused_without_being_shown(tmp_path: Path) -> None:
    settings = params.load(written(tmp_path, GOOD.replace("env:WORKBOOK_TEST_SECRET", "hunter2")))
    with pytest.raises(UsageError) as caught:
        params.mysql_address(settings.target, settings.folder)
    assert "hunter2" not in str(caught.value)


def test_a_password_in_a_url_is_for_loopback_alone(tmp_path: Path) -> None:
    here = params.load(written(tmp_path, GOOD.replace("reader@127.0.0.1", "reader:pw@127.0.0.1")))
    assert params.mysql_address(here.source, here.folder)[3] == "pw"
    there = params.load(written(tmp_path, GOOD.replace("reader@127.0.0.1", "reader:topsecret@db.example")))
    with pytest.raises(UsageError) as caught:
        params.mysql_address(there.source, there.folder)
    assert "topsecret" not in str(caught.value)


def test_set_lays_a_value_over_a_nested_key(tmp_path: Path) -> None:
    overrides = dict([params.override("bulk.workers=3"), params.override("source.databases=[a, b]")])
    settings = params.load(written(tmp_path, GOOD), overrides)
    assert settings.bulk.workers == 3
    assert settings.source.databases == ("a", "b")
    with pytest.raises(UsageError, match="did you mean workers"):
        params.load(written(tmp_path, GOOD), {"bulk.worker": 3})
    with pytest.raises(UsageError, match="is not key=value"):
        params.override("bulk.workers")


def test_the_shipped_params_files_are_valid() -> None:
    for path in sorted((params.CHECKOUT / "params").glob("*.yaml")):
        if path.name == "pipelines.yaml":
            assert load_register(path).pipelines
        else:
            assert params.load(path).environment, path
