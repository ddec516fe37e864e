"""Whether each pipeline can move: its account and privileges, its statements, its smoke query, its place in the order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from workbook import faces
from workbook.accounts import Accounts
from workbook.accounts.able import EVERY_COLUMN, Able, Place, at_login, columns_of
from workbook.accounts.hosts import host_never_matches
from workbook.accounts.objects import AccountKey
from workbook.accounts.read import read_with_roles
from workbook.catalog import Catalog
from workbook.errors import Refused
from workbook.mapping import Mapping as DataMapping
from workbook.pipelines.discovery import Discovery, discover
from workbook.pipelines.order import Order, order_of
from workbook.pipelines.register import Address, Pipeline, Register
from workbook.pipelines.settings import Rendered, render
from workbook.pipelines.standing import Standing
from workbook.pipelines.statements import Need, Sent, is_certain, of_pipeline, read_statements
from workbook.pipelines.traffic import Traffic, read_traffic
from workbook.pipelines.trial import compare, plan_on
from workbook.progress import Progress
from workbook.servers import Server

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# What a move to the target needs; each can be passed over by its name.
CHECKS = ("account", "privileges", "statements", "smoke", "order")
_MOST_STATEMENTS = 200
_TRIAL_BADGES = {"planned": "ok", "parsed": "note"}


@dataclass(frozen=True)
class Check:
    """One thing looked at: ok, failed, incomparable (could not be judged), sampled (in part), or none (nothing to judge)."""

    name: str
    verdict: str
    detail: str

    @property
    def passed(self) -> bool:
        """Whether a move may rely on it."""
        return self.verdict in ("ok", "sampled", "none")


@dataclass(frozen=True)
class Readiness:
    """What was found about one pipeline. `trials` are its statements (values as ?) with how each fared on the target."""

    pipeline: str
    checks: tuple[Check, ...]
    trials: tuple[Mapping[str, Any], ...] = ()

    @property
    def verdict(self) -> str:
        """ok, blocker where a check failed, incomparable where one could not be judged."""
        verdicts = {check.verdict for check in self.checks}
        return "blocker" if "failed" in verdicts else "incomparable" if "incomparable" in verdicts else "ok"


@dataclass(frozen=True)
class Inspection:
    """Source and target as they were read once, for judging any number of pipelines."""

    source: Server
    target: Server
    catalog: Catalog
    mapping: DataMapping
    traffic: Traffic
    statements: tuple[Sent, ...] = field(repr=False)
    source_accounts: Accounts = field(repr=False)
    target_accounts: Accounts = field(repr=False)

    def judge(self, pipeline: Pipeline) -> Readiness:
        """All checks of one pipeline but its place in the order."""
        statements = self.statements_of(pipeline)
        tried, trials = self._statements(pipeline, statements[:_MOST_STATEMENTS])
        smoke = compare(self.source, self.target, pipeline.smoke, pipeline.connection.database)
        words = {"same": "ok", "different": "failed"}.get(smoke.verdict, smoke.verdict)
        answered = f"{smoke.rows_source:,} rows on the source, {smoke.rows_target:,} on the target"
        return Readiness(
            pipeline.name,
            (
                self._account(pipeline),
                self._privileges(pipeline, statements),
                tried,
                Check("smoke", words, f"{answered}; {smoke.detail}" if smoke.detail else answered),
            ),
            trials,
        )

    def statements_of(self, pipeline: Pipeline) -> tuple[Sent, ...]:
        """The statements that are, or may be, the pipeline's."""
        # A view may read from any segment.
        segments = {*pipeline.segments, *pipeline.reads}
        tables = {path for path, table in self.mapping.tables.items() if table.segment in segments}
        tables |= {view.path for view in self.catalog.views}
        return of_pipeline(pipeline, self.statements, self.traffic.statements_of_account(pipeline), tables)

    def _account(self, pipeline: Pipeline) -> Check:
        key = self._on_target(pipeline)
        name = f"{key[0]}@{key[1]}"
        there, here = self.target_accounts.by_key.get(key), self.source_accounts.by_key.get(pipeline.key)
        if there is None:
            near = sorted(host for user, host in self.target_accounts.names if user == key[0])
            more = f"; of that user there is {', '.join(near)}" if near else ""
            return Check("account", "failed", f"{name} is not on the target{more}")
        problems = []
        if here is None:
            problems.append(f"{name} is on the target and not on the source")
        if there.locked:
            problems.append("it is locked on the target: give it a password and unlock it")
        if there.plugin and there.plugin not in self.target_accounts.plugins:
            problems.append(f"the target has no plugin {there.plugin}")
        if self.target_accounts.skip_name_resolve and host_never_matches(key[1]):
            problems.append(f"the target looks up no host names, so nobody comes from {key[1]}")
        return Check("account", "failed" if problems else "ok", "; ".join(problems) or f"{name} can log in")

    def _privileges(self, pipeline: Pipeline, statements: Sequence[Sent]) -> Check:
        account = self.source_accounts.by_key.get(pipeline.key)
        there = self.target_accounts.by_key.get(self._on_target(pipeline))
        if account is None or there is None:
            return Check("privileges", "incomparable", "the account is not on both sides")
        needs = {need for sent in statements for need in sent.needs or ()}
        needs |= self._needs_of_objects(pipeline)
        databases = {need.database for need in needs}
        before = at_login(account, self.source_accounts, databases)
        after = at_login(there, self.target_accounts, databases)
        missing = sorted(need for need in needs if _fewer(need, before, after))
        if missing:
            words = [f"{need.privilege} on {need.database}.{need.name}" for need in missing]
            more = f" and {len(words) - 6} more" if len(words) > 6 else ""
            return Check(
                "privileges", "failed", f"held on the source, missing on the target: {', '.join(words[:6])}{more}"
            )
        held = [need for need in needs if _columns(before.certain, need)]
        if not held:
            return Check(
                "privileges", "failed", "it holds nothing on the objects of its segments: is it the right account?"
            )
        gone = sorted(before.certain.get((), frozenset()) - after.certain.get((), frozenset()))
        more = f"; not given on the target: {', '.join(gone)}" if gone else ""
        return Check("privileges", "ok", f"{len(held):,} privileges on objects are there{more}")

    def _on_target(self, pipeline: Pipeline) -> AccountKey:
        """The pipeline's account on the target, where the mapping may have chosen another host for it."""
        user, host = pipeline.key
        return user, self.mapping.hosts.get(host.lower(), host)

    def _needs_of_objects(self, pipeline: Pipeline) -> set[Need]:
        wanted = {segment: {"SELECT"} for segment in pipeline.reads_in}
        for segment in pipeline.writes_in:
            wanted[segment] = {"SELECT", "INSERT", "UPDATE", "DELETE"}
        needs = {
            Need(privilege, *path)
            for path, table in self.mapping.tables.items()
            if self.mapping.segment[table.segment].scope == "in"
            for privilege in wanted.get(table.segment, ())
        }
        return needs | {
            Need("EXECUTE", routine.database, routine.name, routine=True) for routine in self.catalog.routines
        }

    def _statements(
        self, pipeline: Pipeline, statements: Sequence[Sent]
    ) -> tuple[Check, tuple[Mapping[str, Any], ...]]:
        trials, counts = [], Counter[str]()
        for sent in statements:
            if sent.sample is None:
                why = "the server kept only the beginning of its text" if sent.cut else "the server kept no text of it"
                verdict, detail = "skipped", why
            else:
                trial = plan_on(self.target, sent.sample, sent.database)
                verdict, detail = trial.verdict, trial.detail
                # A table that was dropped since, or made for a moment, is no difference between the sides.
                if verdict == "failed" and plan_on(self.source, sent.sample, sent.database, False).verdict == "failed":
                    verdict, detail = "skipped", f"it fails on the source as well: {detail}"
            counts[verdict] += 1
            certain = is_certain(pipeline, sent)
            trials.append(
                {"statement": sent.text, "count": sent.count, "verdict": verdict, "detail": detail, "certain": certain}
            )
        if not trials:
            return Check("statements", "none", "no statement of it was seen since the source started"), ()
        words = {"planned": "plan", "parsed": "parse", "failed": "fail", "skipped": "could not be tried"}
        own = sum(bool(trial["certain"]) for trial in trials)
        detail = ", ".join(f"{count:,} {words[verdict]}" for verdict, count in counts.items())
        detail += f"; {own:,} of them seen in its own sessions"
        trials.sort(key=lambda trial: (trial["verdict"] != "failed", not trial["certain"]))
        verdict = "failed" if counts["failed"] else "sampled" if counts["skipped"] else "ok"
        return Check("statements", verdict, detail), tuple(trials)


@dataclass(frozen=True)
class PipelinesResult:
    """The pipelines phase: who works with the source, who is ready, the order, the states, the settings to come."""

    discovery: Discovery
    ready: tuple[Readiness, ...]
    order: Order
    standings: Mapping[str, Standing]
    register: Register = field(repr=False)
    settings: tuple[Rendered, ...] = ()

    @property
    def verdict(self) -> str:
        """ok where every pipeline is ready and nobody is unregistered; else the worst that was found."""
        found = {self.discovery.verdict, *(item.verdict for item in self.ready)}
        return next((word for word in ("blocker", "decide", "incomparable") if word in found), "ok")

    def state_of(self, pipeline: str) -> Standing:
        """Where a pipeline stands; on the source where it was never moved."""
        return self.standings.get(pipeline, Standing())

    def asdict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "verdict": self.verdict,
            "discovery": self.discovery.asdict(),
            "pipelines": [
                {
                    **pipeline.model_dump(mode="json", exclude={"connection"}),
                    "state": self.state_of(pipeline.name).words,
                    "verdict": item.verdict,
                    "checks": [asdict(check) for check in item.checks],
                    "statements": [dict(trial) for trial in item.trials],
                }
                for pipeline, item in zip(self.register.pipelines, self.ready, strict=True)
            ],
            "order": {
                "groups": [list(group) for group in self.order.groups],
                "rules": [asdict(r) for r in self.order.rules],
            },
        }

    def settings_shown(self) -> faces.Html:
        """The connection settings towards the target, each folded."""
        return faces.stack(*(faces.Html(item._repr_html_()) for item in self.settings))

    def plot(self) -> "Figure":
        """The order as a picture."""
        from workbook.pipelines.plots import plot_order

        states = {pipeline.name: self.state_of(pipeline.name).state for pipeline in self.register.pipelines}
        return plot_order(self.order, self.register, states)

    def _repr_html_(self) -> str:
        if not self.ready:
            return faces.text("The register names no pipeline: give the params the key `pipelines` (params/README.md).")
        rows = []
        for pipeline, item in zip(self.register.pipelines, self.ready, strict=True):
            marks = {check.name: faces.badge(check.verdict) for check in item.checks}
            state = self.state_of(pipeline.name).words
            rows.append(
                {
                    "name": pipeline.name,
                    "owner": pipeline.owner,
                    "state": state,
                    "ready": faces.badge(item.verdict),
                    **marks,
                }
            )
        return faces.stack(
            faces.boxes(
                ("Pipelines", len(self.ready)),
                ("Ready to move", sum(item.verdict == "ok" for item in self.ready)),
                ("Not ready", sum(item.verdict != "ok" for item in self.ready)),
            ),
            faces.table(
                rows,
                {
                    "name": "Pipeline",
                    "owner": "Owner",
                    "state": "Works on",
                    "ready": "Ready",
                    "account": "Account",
                    "privileges": "Privileges",
                    "statements": "Statements",
                    "smoke": "Smoke query",
                },
                caption="Is each pipeline ready for the target?",
            ),
            *(_folded(item) for item in self.ready),
        )


def check_pipelines(
    source: Server,
    target: Server,
    catalog: Catalog,
    mapping: DataMapping,
    register: Register,
    standings: Mapping[str, Standing],
) -> PipelinesResult:
    """Look at every pipeline of the register. Raises UsageError for a segment that the mapping does not have."""
    register.check_segments(mapping.segment)
    seen = inspect(source, target, catalog, mapping, register)
    ready = []
    with Progress("Looking at the pipelines", len(register.pipelines), "pipelines") as progress:
        for pipeline in register.pipelines:
            ready.append(seen.judge(pipeline))
            progress.advance(1, pipeline.name)
    address = address_of(register, "target", target)
    return PipelinesResult(
        discover(source, catalog, register),
        tuple(ready),
        order_of(register, mapping, catalog),
        standings,
        register,
        tuple(render(pipeline, "target", address) for pipeline in register.pipelines),
    )


def inspect(source: Server, target: Server, catalog: Catalog, mapping: DataMapping, register: Register) -> Inspection:
    """Read from source and target what judging the pipelines of `register` takes. Raises Refused for MariaDB."""
    if catalog.flavour != "mysql":
        raise Refused(
            "The source is MariaDB, which keeps no text of the statements of applications.",
            "Whether they plan on the target cannot be tried, so no pipeline can be called ready.",
            "Register the pipelines all the same (notebook 10 shows who works with the source), and move them by hand.",
        )
    keys = {pipeline.key for pipeline in register.pipelines}
    return Inspection(
        source,
        target,
        catalog,
        mapping,
        read_traffic(source),
        read_statements(source, catalog),
        read_with_roles(source, keys),
        read_with_roles(target, {(user, mapping.hosts.get(host.lower(), host)) for user, host in keys}),
    )


def _fewer(need: Need, source: Able, target: Able) -> bool:
    """Whether the account may meet a need on the source, for certain or perhaps, and on the target not or on fewer columns."""
    for before, after in ((source.certain, target.certain), (source.perhaps, target.perhaps)):
        had, has = _columns(before, need), _columns(after, need)
        if had and has != EVERY_COLUMN and (had == EVERY_COLUMN or had - has):
            return True
    return False


def _columns(held: Mapping[Place, frozenset[str]], need: Need) -> frozenset[str]:
    levels = ("procedure", "function") if need.routine else ("table",)
    return frozenset().union(*(columns_of(held, need.privilege, (level, need.database, need.name)) for level in levels))


def address_of(register: Register, side: str, server: Server) -> Address:
    """Where pipelines reach a side: as the register says, else as the workbook does."""
    given = register.target if side == "target" else register.source
    return given or Address(host=server.host, port=server.port)


def _folded(item: Readiness) -> faces.Html:
    checks = faces.table(
        [{"name": check.name, "verdict": faces.badge(check.verdict), "detail": check.detail} for check in item.checks],
        {"name": "Check", "verdict": "Verdict", "detail": "What was found"},
    )
    trials = faces.table(
        [
            {
                **trial,
                "verdict": faces.badge(_TRIAL_BADGES.get(trial["verdict"], trial["verdict"])),
                "certain": "seen" if trial["certain"] else "maybe",
            }
            for trial in item.trials
        ],
        {"statement": "Statement", "count": "Times", "verdict": "On the target", "detail": "Why", "certain": "Its own"},
        caption="Its statements, planned on the target without running them",
        limit=50,
    )
    return faces.details(
        item.pipeline, faces.stack(checks, trials if item.trials else None), opened=item.verdict != "ok"
    )
