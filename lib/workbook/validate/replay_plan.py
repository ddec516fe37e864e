"""What is to be replayed: the objects, all that each comes to on either side, and the groups of calls for them."""

from collections.abc import Callable, Sequence
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass

from workbook.names import mysql_path
from workbook.schema import Definitions
from workbook.schema.code import adapted_code, same_code, setting_differences
from workbook.schema.definitions import TablePath
from workbook.schema.order import ordered_views
from workbook.schema.planning import never_made
from workbook.schema.tokens import code_of, tokens_of
from workbook.validate.replay_calls import Call, Parameter, Sample, routine_calls, table_calls, view_call
from workbook.validate.replay_place import Places
from workbook.validate.replay_scratch import Built, Stage, source_side, target_side
from workbook.validate.replay_verdict import Group
from workbook.validate.replay_words import Key, Words

Names = ReadOnly[str, str]
_COMPUTING_CALLS = 16


@dataclass
class ReplayPlan:
    """What is to be replayed: the objects, what each comes to on either side, and the tables of the scratch copy."""

    source: Definitions
    target: Definitions
    words: Words
    words_there: Words

    def __post_init__(self) -> None:
        _, left = ordered_views(self.source)
        self.left = {item.name: item.why for item in left}
        code = [item.key for item in self.source.code]
        code += [item.key for item in self.target.code if item.kind == "trigger" and item.key not in set(code)]
        triggered = {(item.database, item.table) for side in (self.source, self.target) for item in side.code}
        computing = [("table", *path) for path in self.source.tables if path not in triggered and self._computes(path)]
        self.keys: tuple[Key, ...] = (*code, *computing)
        self.reached: dict[Key, tuple[frozenset[Key], frozenset[TablePath]]] = {}
        for key in self.keys:
            pairs = [self._reach(words, key) for words in (self.words, self.words_there)]
            self.reached[key] = pairs[0][0] | pairs[1][0], pairs[0][1] | pairs[1][1]
        self.tables = frozenset(path for _, tables in self.reached.values() for path in tables)
        self.refused = {key: self._refused(key) for key in self.keys}
        self.differing = {
            key for key in self.source.code_by_key.keys() | self.target.code_by_key.keys() if self._differs(key)
        }

    def _computes(self, path: TablePath) -> bool:
        table = self.source.catalog.table[path]
        return bool(table.checks) or any(
            column.generated or column.on_update or column.default_is_expression for column in table.columns
        )

    def _reach(self, words: Words, key: Key) -> tuple[frozenset[Key], frozenset[TablePath]]:
        if key[0] == "table":
            return frozenset(), frozenset([(key[1], key[2])])
        code, tables = words.reach(key)
        trigger = words.definitions.code_by_key.get(key)
        if trigger is not None and trigger.kind == "trigger":
            more, others = words.reach_of_table((trigger.database, trigger.table or ""))
            return code | more, tables | others
        return code, tables

    def _refused(self, key: Key) -> str:
        for words in (self.words, self.words_there):
            why = words.refused([other for other in self.reached[key][0] if other in words.tokens])
            if why:
                return why
        return ""

    def _differs(self, key: Key) -> bool:
        one, other = self.source.code_by_key.get(key), self.target.code_by_key.get(key)
        if one is None or other is None:
            return not (other is None and one is not None and self.missing(key))
        made = adapted_code(one, self.target.account)
        return not same_code(one, other) or bool(setting_differences(one, made.settings, other))

    def missing(self, key: Key) -> str:
        """Why an object of the source is meant not to be on the target; empty where it should be there."""
        code = self.source.code_by_key.get(key)
        if code is None or key in self.target.code_by_key:
            return ""
        return (
            self.left.get(mysql_path(code.database, code.name), "")
            if code.kind == "view"
            else never_made(code, self.target) or ""
        )

    def differs(self, key: Key) -> bool:
        """Whether an object's own definition is another one on the target."""
        return self.table_differs((key[1], key[2])) if key[0] == "table" else key in self.differing

    def table_differs(self, path: TablePath) -> bool:
        """Whether a column or a check of a table is another one on the target."""
        sides = [source_side(self.source, [path]).tables.get(path), target_side(self.target, [path]).tables.get(path)]
        parts = [
            sorted(part.normal for part in (*side[0].columns, *side[0].checks)) if side else None for side in sides
        ]
        return parts[0] != parts[1]

    def databases(self) -> list[str]:
        """The databases that the scratch copy stands for."""
        return sorted({key[1] for key in self.keys} | {path[0] for path in self.tables})

    def known(self) -> frozenset[tuple[str, str]]:
        """All names that may stand behind a database and a dot."""
        return frozenset(
            pair
            for side in (self.source, self.target)
            for pair in (
                *((path[0], path[1].lower()) for path in side.tables),
                *((item.database, item.name.lower()) for item in side.code),
            )
        )

    def in_place(self, alike: Callable[[TablePath], bool], names: Names) -> Places:
        """What may be called where it is: it only reads, answers alike at all times, from rows that are alike."""
        views, reasons = [], {}
        for key in self.keys:
            code = self.reached[key][0]
            if (
                key[0] not in ("view", "function", "procedure")
                or self.missing(key)
                or key not in self.target.code_by_key
            ):
                continue
            sides = [(words, [k for k in code if k in words.tokens]) for words in (self.words, self.words_there)]
            if self.refused[key] or any(words.writes(own) for words, own in sides):
                continue
            if any(words.varies(own) for words, own in sides):
                reasons[key] = "it asks for the time, the server or the account"
            elif not all(alike(path) for path in self.reached[key][1]):
                reasons[key] = "the rows it reads are not known to be the same"
            else:
                views.append(key)
        return Places(tuple(views), reasons, self.source.loose, names)


def groups_of(
    plan: ReplayPlan, made: Stage, built: Built, samples: ReadOnly[TablePath, Sample], events: ReadOnly[Key, str]
) -> list[Group]:
    parameters = _parameters(made)
    groups: list[Group] = []
    fired: dict[tuple[TablePath, str], list[Key]] = {}
    for key in plan.keys:
        if plan.refused[key] or plan.missing(key) or key in built.failed:
            continue
        reached, tables = plan.reached[key]
        commits = any(
            words.commits([k for k in reached if k in words.tokens]) for words in (plan.words, plan.words_there)
        )
        ordered = tuple(sorted(tables))
        writes = any(
            words.writes([k for k in reached if k in words.tokens]) for words in (plan.words, plan.words_there)
        )
        calls: Sequence[Call] = ()
        if key[0] == "trigger":
            code = plan.source.code_by_key.get(key) or plan.target.code_by_key[key]
            event = (code.moment or "").split()[1]
            fired.setdefault(((code.database, code.table or ""), event), []).append(key)
            continue
        if key[0] == "table":
            path = key[1], key[2]
            if path in samples:
                calls = [
                    call
                    for event in ("INSERT", "UPDATE")
                    for call in table_calls(event, samples[path], _COMPUTING_CALLS)
                ]
        elif key[0] == "view":
            statement = plan.source.code_by_key[key].statement
            calls = [view_call(made.key(key), any(token.word == "ORDER" for token in code_of(tokens_of(statement))))]
        elif key[0] == "event":
            code = plan.source.code_by_key[key]
            settings = tuple(("time_zone", v) for n, v in code.settings if n == "time_zone" and v != "SYSTEM")
            named = ("procedure", made.names[key[1]], events[key])
            calls = routine_calls(named, (), (), settings)
        else:
            near = [samples[path] for path in ordered if path in samples]
            calls = routine_calls(made.key(key), parameters.get(made.key(key), ()), near)
        groups.append(Group((key,), tuple(calls), ordered if writes or key[0] == "table" else (), commits))
    for (path, event), keys in fired.items():
        tables = frozenset(table for key in keys for table in plan.reached[key][1]) | {path}
        if path in samples:
            groups.append(Group(tuple(keys), tuple(table_calls(event, samples[path])), tuple(sorted(tables))))
    return groups


def _parameters(made: Stage) -> dict[Key, tuple[Parameter, ...]]:
    """The parameters of all routines on the stage, by their scratch names."""
    found: dict[Key, list[Parameter]] = {}
    rows = made.server.rows(
        "SELECT ROUTINE_TYPE AS kind, SPECIFIC_SCHEMA AS d, SPECIFIC_NAME AS n, PARAMETER_NAME AS p, PARAMETER_MODE AS m,"
        " DATA_TYPE AS t FROM information_schema.PARAMETERS WHERE SPECIFIC_SCHEMA IN %s AND ORDINAL_POSITION > 0"
        " ORDER BY SPECIFIC_SCHEMA, SPECIFIC_NAME, ROUTINE_TYPE, ORDINAL_POSITION",
        (tuple(made.names.values()),),
    )
    for row in rows:
        parameter = Parameter(str(row["p"]), str(row["m"] or "IN"), str(row["t"]).lower())
        found.setdefault((str(row["kind"]).lower(), row["d"], row["n"]), []).append(parameter)
    return {key: tuple(parameters) for key, parameters in found.items()}


def fired_by(plan: ReplayPlan, key: Key) -> frozenset[Key]:
    """What a trigger itself comes to, without the other triggers of its table."""
    return frozenset(k for words in (plan.words, plan.words_there) for k in words.reach(key)[0])
