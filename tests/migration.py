"""A whole migration of a scratch database, phase by phase through the rooms, for the tests that need a finished copy."""

from dataclasses import dataclass, field, replace

from conftest import Scratch
from workbook.accounts import plan_accounts
from workbook.bulk.load import load
from workbook.bulk.result import BulkResult
from workbook.catalog import Catalog, read_catalog
from workbook.mapping import Mapping, generate
from workbook.params import Settings
from workbook.plan import apply
from workbook.schema import plan_schema
from workbook.validate.delta import Earlier
from workbook.validate.result import Validation
from workbook.validate.run import validate_copy
from workbook.warehouse import load_warehouse


@dataclass
class Notes:
    """A journal in memory."""

    objects: set[str] = field(default_factory=set)
    undo: list[tuple[str, str]] = field(default_factory=list)

    def intend(self, object: str, undo: str | None, server: str = "target") -> int:
        self.objects.add(object)
        if undo is not None:
            self.undo.append((server, undo))
        return len(self.undo)

    def confirm(self, number: int) -> None:
        pass

    def cancel(self, number: int) -> None:
        pass


@dataclass
class Migration:
    """One scratch database on its way."""

    scratch: Scratch
    settings: Settings
    catalog: Catalog
    mapping: Mapping
    notes: Notes = field(default_factory=Notes)
    loaded: str = ""  # the state of the target that the warehouse was loaded from

    @classmethod
    def of(cls, scratch: Scratch, databases: list[str], **keys: object) -> "Migration":
        settings = scratch.settings(databases, **keys)
        catalog = read_catalog(scratch.source, databases)
        return cls(scratch, settings, catalog, generate(catalog, None, True))

    def schema(self) -> None:
        scratch = self.scratch
        apply(
            plan_schema(scratch.source, scratch.target, self.catalog, self.mapping, self.notes.objects),
            scratch.target,
            self.notes,
        )

    def accounts(self) -> None:
        scratch = self.scratch
        apply(
            plan_accounts(scratch.source, scratch.target, self.catalog, self.mapping, self.notes.objects),
            scratch.target,
            self.notes,
        )

    def bulk(self) -> BulkResult:
        scratch = self.scratch
        return load(
            scratch.source, scratch.target, self.catalog, self.mapping, self.settings, self.notes, self.notes.objects
        )

    def warehouse(self) -> None:
        scratch = self.scratch
        there = read_catalog(
            scratch.target, [self.mapping.target_database(name) for name in self.settings.source.databases]
        )
        self.loaded = load_warehouse(
            scratch.target, scratch.warehouse, there, self.mapping, self.settings, self.notes, self.notes.objects
        ).gtid_executed

    def whole(self) -> "Migration":
        self.schema()
        self.accounts()
        self.bulk()
        self.warehouse()
        return self

    def validate(self, earlier: Earlier = Earlier()) -> Validation:  # noqa: B008
        scratch = self.scratch
        return validate_copy(
            scratch.source,
            scratch.target,
            scratch.warehouse,
            self.catalog,
            self.mapping,
            self.settings,
            self.notes.objects,
            earlier=replace(earlier, loaded=self.loaded),
        )
