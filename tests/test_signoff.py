"""Criteria, tolerances and signatures: what was agreed in the mapping is judged, let through within its bounds, and signed for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conftest import Scratch
from migration import Migration
from workbook import cli, params
from workbook.catalog import Column
from workbook.errors import Refused, UsageError, VerdictFailed
from workbook.mapping import load_mapping, merge
from workbook.mapping.requirements import PROOFS, Accepted
from workbook.mapping.tolerances import TOLERABLE, Tolerance
from workbook.phases import open_phase
from workbook.phases.ledger import Ledger
from workbook.phases.sign import candidate, sign
from workbook.validate.cells import Cell, family_of
from workbook.validate.content import Servers, compare_table
from workbook.validate.criteria import MET, NOT_MET, UNJUDGED, Criteria, Facts, accept, judge
from workbook.validate.defects import defect_of
from workbook.validate.findings import findings_of
from workbook.validate.result import TableVerdict, Validation
from workbook.validate.run import validate_copy
from workbook.validate.signs import SIGNS
from workbook.validate.tolerances import LetThrough, shows

SHOP = (
    """CREATE TABLE `no``tes` (id INT PRIMARY KEY, `wo%rds` VARCHAR(60), score DOUBLE, single FLOAT, at DATETIME(6), born DATE,
       doc JSON, story LONGTEXT, price DECIMAL(20,6), KEY by_words (`wo%rds`))""",
    """INSERT INTO `no``tes` WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 60)
       SELECT n, CONCAT('Zoë ', n, ' '), n / 7, n / 3, '2024-01-01' + INTERVAL n * 1000001 MICROSECOND, '2000-01-01' + INTERVAL n DAY,
              JSON_OBJECT('n', n, 'text', 'x'), REPEAT('Ab', n), n / 7 FROM c""",
    # No text that MySQL reads as JSON gives a DECIMAL: functions alone do.
    "UPDATE `no``tes` SET doc = JSON_OBJECT('n', CAST('0.12345678901234567890' AS DECIMAL(30,20))) WHERE id IN (7, 8)",
    "UPDATE `no``tes` SET born = '0000-00-00' WHERE id = 5",
    "CREATE TABLE parts (id INT PRIMARY KEY, of_note INT, CONSTRAINT fk FOREIGN KEY (of_note) REFERENCES `no``tes` (id))",
    "INSERT INTO parts SELECT id, id FROM `no``tes`",
    "CREATE TABLE clicks (what VARCHAR(20))",
    "CREATE TRIGGER `tr%s` BEFORE INSERT ON parts FOR EACH ROW SET NEW.of_note = NEW.of_note",
    "CREATE PROCEDURE mailed() SELECT 1",
)  # fmt: skip
DAMAGE = (
    "UPDATE `no``tes` SET `wo%rds` = RTRIM(`wo%rds`) WHERE id <= 3",
    "UPDATE `no``tes` SET score = score * (1 + 2.3e-16) WHERE id = 9",
    "UPDATE `no``tes` SET at = '2024-01-01' + INTERVAL FLOOR(id * 1.000001) SECOND WHERE id IN (10, 11)",
    "UPDATE `no``tes` SET story = LOWER(story) WHERE id IN (30, 31, 32)",
)
HEALING = (
    """UPDATE `no``tes` SET `wo%rds` = CONCAT('Zoë ', id, ' '), score = id / 7, single = id / 3, price = id / 7,
       at = '2024-01-01' + INTERVAL id * 1000001 MICROSECOND, story = REPEAT('Ab', id)""",
)
TOLERATED = """
            wo%rds: {tolerate: [{defect: space at the end lost, at_most: 5%}, {defect: text cut, at_most: 1}]}
            score: {tolerate: {defect: double off by its last bit, at_most: 1}}
            at: {tolerate: {defect: fraction of a second lost, within: 1, at_most: 2}}
            doc: {tolerate: {defect: JSON number changed its type, at_most: 2}}
            story: {tolerate: {defect: case or accent changed, at_most: 3}}
            price: {tolerate: {defect: number rounded, at_most: 1}}"""


@dataclass
class Agreed:
    """A copy with its params file, and its mapping as a file that the tests edit."""

    migration: Migration
    params: Path
    mapping: Path
    text: str

    def mapped(self, *edits: tuple[str, str]) -> Migration:
        """The migration with an edited mapping."""
        text = self.text
        for old, new in edits:
            assert text.count(old) == 1, (old, text)
            text = text.replace(old, new)
        self.mapping.write_text(text)
        return replace(self.migration, mapping=load_mapping(self.mapping, self.migration.catalog, emulated=True))

    def heal(self) -> None:
        """Bring the target's rows and the warehouse back to what was loaded first."""
        database = self.migration.settings.source.databases[0]
        self.migration.scratch.execute_target_root("DELETE FROM `no``tes` WHERE id = 61", database)
        for statement in HEALING:
            self.migration.scratch.execute_target_root(statement, database)
        self.migration.warehouse()

    def refused(self, old: str, new: str) -> str:
        with pytest.raises(UsageError) as refused:
            self.mapped((old, new))
        return str(refused.value)


@pytest.fixture(scope="module")
def agreed(sandbox: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agreed]:
    """A finished copy that the tests share; each takes its damage back."""
    folder = tmp_path_factory.mktemp("signoff")
    scratch = Scratch(sandbox, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_REPORTS", str(folder / "reports"))
        try:
            database = scratch.database()
            for statement in SHOP:
                scratch.execute(statement, database)
            mapping = folder / "mapping.yaml"
            file = scratch.params([database], mapping="mapping.yaml")
            migration = Migration.of(scratch, [database])
            text = merge(None, migration.catalog, None, True)
            mapping.write_text(text)
            migration = replace(
                migration, settings=params.load(file), mapping=load_mapping(mapping, migration.catalog, True)
            )
            yield Agreed(migration.whole(), file, mapping, text)
        finally:
            scratch.close()


COLUMNS = (
    "          columns:\n            wo%rds: {name: wo_rds}\n"
    "          by_default: [id, score, single, at, born, doc, story, price]"
)
WITH_RULES = (COLUMNS, f"          columns:{TOLERATED}\n          by_default: [id, single, born]")
JSON_ALONE = (
    COLUMNS,
    "          columns:\n            doc: {tolerate: {defect: JSON number changed its type, at_most: 2}}\n"
    "          by_default: [id, wo%rds, score, single, at, born, story, price]",
)
EMPTY = Validation((), (), (), (), {})
ACCEPTING = (
    "requires:\n  proofs: [objects, interactions]\n",
    "requires:\n  proofs: [objects, interactions]\n"
    "  accept: {unproven: {procedure DATABASE.mailed: it sends mail, procedure DATABASE.maild: a slip}}\n",
)


def status(found: Validation) -> dict[tuple[str, str], str]:
    return {(item.segment, item.criterion): item.status for item in found.criteria.items}


def let(table: TableVerdict) -> dict[tuple[str, str], LetThrough]:
    return {
        (item.column, item.rule.partition(":")[0].partition(",")[0]): item
        for item in table.let_through
        if item.kind == "tolerance"
    }


def test_a_generated_mapping_demands_everything_and_says_so(agreed: Agreed) -> None:
    needs = agreed.migration.mapping.segment["main"].requirements
    assert (needs.hops, needs.proofs) == (("source-target", "target-warehouse", "source-warehouse"), tuple(PROOFS))
    assert (needs.similarity, needs.freshness, needs.accept) == (1.0, 86_400, ())
    assert needs.losses == ("representation", "date", "datetime")
    for line in ("freshness: 24 h", "proofs: [content, objects, relations, interactions]", "similarity: 1.0"):
        assert line in agreed.text
    # What it writes it reads as what it means.
    assert agreed.mapped().mapping.rest == agreed.migration.mapping.rest


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("freshness: 24 h\n    tables", "freshness: 24\n    tables", "Write a number with its unit"),
        ("    requires:", "    requirs:", "did you mean requires?"),
        ("      similarity: 1.0", "      similarty: 1.0", "did you mean similarity?"),
        ("content, objects", "contents, objects", "did you mean content?"),
        ("  freshness: 24 h\nsegments", "  accept: {unproven: {procedure x.y: }}\nsegments", "gives no reason"),
        ("  freshness: 24 h\nsegments", "  accept: {unproven: {proc x.y: it mails}}\nsegments", "did you mean procedure?"),
        ("  freshness: 24 h\nsegments", "  accept: {missing: {procedure x.y: a}}\nsegments", "unknown key 'missing'"),
        ("  freshness: 24 h\nsegments", "  similarity: 0.5\nsegments", "unknown key 'similarity' in requires of the mapping"),
        (COLUMNS, "          columns: {score: {tolerate: {defect: flot drifted, at_most: 1}}}", "did you mean float drifted?"),
        (COLUMNS, "          columns: {doc: {tolerate: {defect: text cut, at_most: 1}}}", "no json can show it"),
        (COLUMNS, "          columns: {score: {tolerate: {defect: float drifted}}}", "at_most of column 'score' of table"),
        (COLUMNS, "          columns: {score: {tolerate: {defect: float drifted, at_most: 0}}}", "as 0.5%"),
        (COLUMNS, "          columns: {score: {tolerate: {defect: float drifted, at_mots: 1}}}", "did you mean at_most?"),
        (COLUMNS, "          columns: {doc: {tolerate: {defect: JSON number changed its type, within: 1, at_most: 1}}}", "Take it away"),
        (COLUMNS, "          columns: {id: {tolerate: {defect: number rounded, at_most: 1}}}", "a column of the key"),
        ("          by_default: [what]", "          columns: {what: {tolerate: {defect: text cut, at_most: 1}}}", "a table without a key"),
    ],
)  # fmt: skip
def test_what_the_mapping_does_not_know_is_refused_with_the_nearest(
    agreed: Agreed, old: str, new: str, said: str
) -> None:
    assert said in agreed.refused(old, new)


def test_what_can_be_tolerated_is_what_the_classifier_names_in_a_single_cell() -> None:
    signs = {number: families for number, families, _ in SIGNS}
    assert {item.number for item in TOLERABLE} == set(signs)
    for item in TOLERABLE:
        assert item.name == defect_of(item.number).name
        for kind in item.types:
            column = Column.__new__(Column)
            object.__setattr__(column, "data_type", kind)
            assert family_of(column) in signs[item.number], (item.name, kind)


@pytest.mark.parametrize(
    ("kind", "number", "before", "after", "within", "passes"),
    [
        ("double", 14, "1.0", "1.0000000000000002", 1, True),
        ("double", 14, "1.0", "1.0000000000000004", 1, False),
        ("double", 14, "-5e-324", "5e-324", 2, False),
        ("float", 14, "1.0", "1.0000001192092896", 1, True),
        ("float", 14, "1.0", "1.000001", 4, False),
        ("decimal", 11, "1.234567", "1.2346", 0.001, True),
        ("decimal", 11, "1.234567", "1.2", 0.001, False),
        ("datetime", 16, "2024-01-01 00:00:00.400000", "2024-01-01 00:00:00", 0.5, True),
        ("datetime", 16, "2024-01-01 00:00:00.600000", "2024-01-01 00:00:00", 0.5, False),
        ("varchar", 4, "a ", "a", None, True),
        ("varchar", 4, "a ", "b", None, False),
        ("varchar", 4, "a", None, None, False),
        ("json", 28, '{"n": 0.12345678901234567890}', '{"n": 0.12345678901234568}', None, True),
        ("json", 28, '{"n": 1.0, "m": 1}', '{"n": 1, "m": 2}', None, False),
        ("json", 28, '{"n": 1}', '{"n": "1"}', None, False),
    ],
)  # fmt: skip
def test_a_tolerance_passes_its_own_defect_within_its_size_alone(
    kind: str, number: int, before: str, after: str | None, within: float | None, passes: bool
) -> None:
    column = Column.__new__(Column)
    object.__setattr__(column, "data_type", kind)
    object.__setattr__(column, "scale", 6)
    rule = Tolerance(number, defect_of(number).name, 1, within)
    assert shows(rule, Cell(column, before, after)) is passes
    # Of a value that only its hash is known of nothing is let through.
    assert not shows(rule, Cell(column, before, after, seen=False))


def compared(migration: Migration) -> dict[str, TableVerdict]:
    """The verdicts on the table that holds all kinds of columns, by hop."""
    scratch, catalog = migration.scratch, migration.catalog
    path = next(path for path in catalog.table if path[1] == "no`tes")
    servers = Servers(scratch.source, scratch.target, scratch.warehouse)
    found = compare_table(servers, catalog.table[path], migration.mapping.tables[path], migration.settings)
    return {table.hop: table for table in found}


def test_rows_are_let_through_within_their_bounds_and_none_beyond(agreed: Agreed) -> None:
    database = agreed.migration.settings.source.databases[0]
    scratch = agreed.migration.scratch
    for statement in DAMAGE:
        scratch.execute_target_root(statement, database)
    agreed.migration.warehouse()
    try:
        migration = agreed.mapped(WITH_RULES)
        found = compared(migration)
        over = compared(agreed.mapped(WITH_RULES, ("at_most: 3}}", "at_most: 2}}")))["source-target"]
        # One more kind of change in a column that is otherwise tolerated.
        scratch.execute_target_root("UPDATE `no``tes` SET `wo%rds` = 'other' WHERE id = 2", database)
        other = compared(migration)["source-target"]
        scratch.execute_target_root("INSERT INTO `no``tes` (id) VALUES (61)", database)
        more = compared(migration)["source-target"]
    finally:
        agreed.heal()
    for hop in ("source-target", "source-warehouse"):
        table = found[hop]
        assert (table.verdict, table.changed, table.equal, table.classes) == ("same", 11, False, ())
        assert {name for name, state in table.columns.items() if state == "tolerated"} - {"born"} == {
            "wo%rds", "score", "at", "doc", "story"
        }  # fmt: skip
        assert table.columns["price"] == "proven"
        assert table.similarity == pytest.approx(1 - 11 / 60)
        assert {name: (item.rows, item.exceeded) for name, item in let(table).items()} == {
            ("wo%rds", "space at the end lost"): (3, False),
            ("wo%rds", "text cut"): (0, False),
            ("score", "double off by its last bit"): (1, False),
            ("at", "fraction of a second lost"): (2, False),
            ("doc", "JSON number changed its type"): (2, False),
            ("story", "case or accent changed"): (3, False),
            ("price", "number rounded"): (0, False),
        }
    assert found["target-warehouse"].equal
    # One row more than agreed: the column differs, and what the others let through stays let through.
    assert (over.verdict, over.columns["story"], over.columns["wo%rds"]) == ("different", "different", "tolerated")
    (finding,) = findings_of([over], [], [])
    assert finding.column == "story"
    assert "the mapping tolerates case or accent changed: at most 2 rows" in finding.explanation
    # Another change in a tolerated column counts as one, and so does a row too many.
    assert (other.verdict, other.columns["wo%rds"], other.columns["story"]) == ("different", "different", "tolerated")
    assert [(item.column, item.rows) for item in findings_of([other], [], [])] == [("wo%rds", 1)]
    assert (more.verdict, more.extra) == ("different", 1)
    shown = replace(EMPTY, tables=(*found.values(), over))
    page = shown.tolerances._repr_html_()
    assert "space at the end lost: at most 5% of the rows" in page
    assert "not needed" in page
    assert "exceeded" in page
    assert "Zoë" not in page
    plain = json.loads(json.dumps(shown.asdict()))
    story = next(item for item in plain["tables"][0]["tolerated"] if item["column"] == "story")
    assert (story["rows"], story["at_most"], story["exceeded"]) == (3, 3, False)
    assert "masked" in str(story["samples"][0]["columns"])
    assert shown.coverage["columns"]["source-target"]["tolerated"] == 5 + 4


def test_more_differing_rows_than_can_be_read_let_nothing_through(
    agreed: Agreed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbook.validate.locate._KEYS_A_QUERY", 1)
    settings = agreed.migration.settings
    few = settings.model_copy(update={"validate_": settings.validate_.model_copy(update={"samples": 1, "listed": 1})})
    table = compared(replace(agreed.mapped(JSON_ALONE), settings=few))["source-target"]
    assert (table.verdict, table.columns["doc"]) == ("different", "different")
    assert [(item.rows, item.exceeded) for item in let(table).values()] == [(None, True)]


def judged(found: Validation, migration: Migration) -> Validation:
    """The validation as it would be by another mapping, without comparing again."""
    (objects, relations, interactions), accepted = accept(
        migration.mapping, (found.objects, found.relations, found.interactions)
    )
    facts = Facts(found.tables, objects, relations, interactions, found.selftest, found.seconds)
    criteria = Criteria(judge(facts, migration.mapping, migration.catalog), accepted)
    things = {"objects": tuple(objects), "relations": tuple(relations), "interactions": tuple(interactions)}
    return replace(found, criteria=criteria, **things)


def test_each_criterion_is_judged_by_itself(agreed: Agreed) -> None:
    database = agreed.migration.settings.source.databases[0]
    scratch = agreed.migration.scratch
    damage = (
        "ALTER TABLE `no``tes` DROP INDEX by_words",
        "UPDATE parts SET of_note = 2 WHERE id = 1",
        # Nothing is replayed here, so no interaction has a proof.
    )
    settings = agreed.migration.settings
    quiet = settings.model_copy(update={"validate_": settings.validate_.model_copy(update={"replay": False})})
    losses = ("losses: [representation, date, datetime]", "losses: [datetime]")
    for statement in damage:
        scratch.execute_target_root(statement, database)
    try:
        bad = replace(agreed.mapped(JSON_ALONE, losses), settings=quiet).validate()
    finally:
        scratch.execute_target_root("ALTER TABLE `no``tes` ADD INDEX by_words (`wo%rds`)", database)
        scratch.execute_target_root("UPDATE parts SET of_note = 1 WHERE id = 1", database)
    assert bad.verdict == "different"
    assert status(bad) == {
        ("main", "source-target"): NOT_MET,
        ("main", "target-warehouse"): NOT_MET,
        ("main", "source-warehouse"): MET,
        ("main", "similarity"): NOT_MET,
        ("main", "losses"): NOT_MET,
        ("main", "objects"): NOT_MET,
        ("main", "relations"): NOT_MET,
        ("main", "interactions"): UNJUDGED,
        ("main", "freshness"): MET,
        ("everything else", "objects"): MET,
        ("everything else", "interactions"): UNJUDGED,
        ("everything else", "self-test"): MET,
        ("everything else", "freshness"): MET,
    }
    said = {(item.segment, item.criterion): item for item in bad.criteria.items}
    assert "born: 1 by date" in said["main", "losses"].evidence
    assert "by_words" in said["main", "objects"].evidence
    assert f"{database}.parts (1 changed)" in said["main", "source-target"].evidence
    assert f"relation {database}.parts.fk" in said["main", "relations"].evidence
    assert "up to 2 values of these by tolerance" in said["main", "similarity"].figure
    assert "What stands in the way of a signature" in bad.criteria._repr_html_()
    # A floor below 1 is met by rows that differ within it; the verdict says what is.
    floor = judged(bad, agreed.mapped(JSON_ALONE, ("similarity: 1.0", "similarity: 0.98")))
    assert status(floor)["main", "source-target"] == status(floor)["main", "similarity"] == MET
    assert status(floor)["main", "losses"] == MET
    assert floor.verdict == "different"
    # What the segment does not demand is not judged.
    less = judged(
        bad,
        agreed.mapped(
            JSON_ALONE, ("      proofs: [content, objects, relations, interactions]", "      proofs: [objects]")
        ),
    )
    assert {name for segment, name in status(less) if segment == "main"} == {"objects", "freshness"}
    # Accepted by name, with the reason; a slip lets nothing through and says what may be meant.
    by_name = (
        ACCEPTING[1]
        .replace("unproven", "different")
        .replace("procedure DATABASE.mailed", f"index {database}.no`tes.by_words")
    )
    index = judged(bad, agreed.mapped(JSON_ALONE, (ACCEPTING[0], by_name)))
    assert status(index)["main", "objects"] == MET
    (item,) = [item for item in index.objects if item.name.endswith("`by_words`")]
    assert (item.verdict, "accepted as different: it sends mail" in item.detail) == ("tolerated", True)
    assert [item.times for item in index.criteria.accepted] == [1, 0]

    # An interaction without a proof leaves the verdict and stands against a signature, unless it is accepted by name.
    tables = tuple(replace(table, verdict="same") for table in bad.tables)
    clean = replace(bad, tables=tables, relations=(), objects=())
    open_ = judged(clean, agreed.mapped(JSON_ALONE))
    assert open_.verdict == "same"
    assert {key for key, word in status(open_).items() if word != MET} == {
        ("main", "interactions"),
        ("everything else", "interactions"),
    }
    names = ACCEPTING[1].replace("DATABASE", database).replace("}}", f", trigger {database}.tr%s: known}}}}")
    taken = judged(clean, agreed.mapped(JSON_ALONE, (ACCEPTING[0], names)))
    assert (taken.verdict, set(status(taken).values())) == ("same", {MET})
    assert [(item.times, item.near) for item in taken.criteria.accepted] == [
        (1, ""),
        (0, f"procedure {database}.mailed"),
        (1, ""),
    ]
    assert {item.verdict for item in taken.interactions} == {"tolerated"}
    assert "did you mean procedure" in taken.criteria._repr_html_()
    # An acceptance of what stays unproven is none of what differs.
    assert not Accepted("procedure a.b", "unproven", "x").covers("procedure `a`.`b`", "different")
    assert Accepted("procedure a.b`c", "different", "x").covers("procedure `a`.`b``c`", "incomparable")


def validated(agreed: Agreed) -> Path:
    """The run folder of a validation through its phase."""
    phase = open_phase("validate", {"params_file": str(agreed.params)})
    found = validate_copy(
        phase.source, phase.target, phase.warehouse, phase.catalog, phase.mapping, phase.settings,
        agreed.migration.notes.objects,
    )  # fmt: skip
    try:
        phase.finish(found)
    except VerdictFailed:
        assert found.verdict != "same"
    return phase.run_dir


def workbook(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(words))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_verdict_is_signed_only_when_every_criterion_is_met_and_a_change_makes_the_signature_invalid(
    agreed: Agreed, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = agreed.migration.settings
    ledger = Ledger(settings.environment)
    assert workbook("sign", "-p", str(agreed.params), "--by", "A. Lead") == 2
    agreed.mapped()
    red = validated(agreed)
    with pytest.raises(VerdictFailed, match=r"stand in the way of a signature: main: source-target not met"):
        sign(settings, "A. Lead", say=lambda text: None)
    assert workbook("sign", "-p", str(agreed.params)) == 1
    agreed.mapped(JSON_ALONE)
    with pytest.raises(Refused, match="is not the one that the run"):
        sign(settings, "A. Lead", say=lambda text: None)
    green = validated(agreed)
    assert not (red / "signatures.json").exists()
    assert workbook("sign", "-p", str(agreed.params)) == 0
    for name in ("", "a\nb"):
        assert workbook("sign", "-p", str(agreed.params), "--by", name) == 2
    assert workbook("sign", "-p", str(agreed.params), "--set", "bulk.workers=3", "--by", "A. Lead") == 3
    assert workbook("sign", "-p", str(agreed.params), "--by", "A", "--run", f"{green.name[:-1]}z") == 2
    assert f"Did you mean {green.name[:8]}" in capsys.readouterr().err
    # What was written after the comparison was not compared.
    entry = ledger.begin("bulk_load", "later", {})
    with pytest.raises(Refused, match="these ran: bulk_load"):
        sign(settings, "A. Lead", say=lambda text: None)
    ledger.end(entry, "done", {}, None)
    ledger.mark_undone("bulk_load")
    # Too old a picture is signed by nobody.
    old = candidate(settings).criteria.aged(100_000)
    assert {item.criterion for item in old.open} == {"freshness"}
    assert "incomparable" in old.verdicts

    assert workbook("sign", "-p", str(agreed.params), "--by", "A. <b>Lead</b>", "--note", "for the weekend") == 0
    (record,) = json.loads((green / "signatures.json").read_text())
    content = json.loads((green / "validate.json").read_text())
    assert record["signed_by"] == "A. <b>Lead</b>"
    assert record["verdict"] == "same"
    assert record["criteria"] == len(content["criteria"])
    assert record["tolerated"] == 2
    assert record["snapshot"]["source"] == content["snapshot"]["source"]
    assert set(record["files"]) == {"validate.json", "run.json", "signed-mapping.yaml"}
    assert record["signed_at"].endswith("Z")
    assert ledger.signatures(green.name) == [record]
    assert (green / "signed-mapping.yaml").read_text() == agreed.mapping.read_text()
    reports = green.parent
    for page in (reports / "index.html", green / "index.html"):
        text = page.read_text()
        assert "A. &lt;b&gt;Lead&lt;/b&gt;" in text
        assert "wb-good" in text
        assert "invalid" not in text.partition("<body")[2].partition("<script")[0]
    # Another may sign beside.
    assert workbook("sign", "-p", str(agreed.params), "--by", "B. Owner") == 0
    assert candidate(settings).signed.by == "A. <b>Lead</b>, B. Owner"

    # A later change of a signed file shows, and so does a signature that nobody made.
    signed = (green / "signatures.json").read_text()
    (green / "signatures.json").write_text(signed.replace("B. Owner", "C. Nobody"))
    assert candidate(settings).signed.word == "invalid"
    (green / "signatures.json").write_text(signed)
    assert candidate(settings).signed.word == "signed"
    (green / "signed-mapping.yaml").write_text("version: 1\n")
    assert workbook("sign", "-p", str(agreed.params)) == 1
    assert workbook("site") == 0
    for page in (reports / "index.html", green / "index.html"):
        assert "invalid" in page.read_text().partition("<body")[2].partition("<script")[0]
    assert "signed-mapping.yaml was changed after it was signed" in (green / "index.html").read_text()
    (green / "validate.json").write_text(json.dumps({**content, "verdict": "same"}))
    with pytest.raises(Refused, match="is not the one that the validation wrote"):
        candidate(settings)


def test_criteria_come_back_from_their_json() -> None:
    assert Criteria.of(Criteria().asdict()) == Criteria()
