"""Who is connected to a server and what each account has run there, from performance_schema."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from workbook.accounts.hosts import host_matches
from workbook.errors import TerminalError
from workbook.pipelines.register import Pipeline
from workbook.servers import Server, Session

# Statement events of performance_schema that change rows, or may: CALL runs whatever its procedure does.
_CHANGES = ("insert", "update", "delete", "replace", "insert_select", "replace_select", "update_multi", "delete_multi")
WRITING = frozenset((*_CHANGES, "load", "call_procedure", "truncate", "execute_sql"))
READING = frozenset(("select",))
Counts = Mapping[str, int]


@dataclass(frozen=True)
class Connected:
    """A session on a server: its id, user, the host it comes from, its program, and the statements it has run by kind."""

    id: int
    user: str
    host: str
    program: str
    command: str
    statements: Counts = field(default_factory=dict)


@dataclass(frozen=True)
class Traffic:
    """The sessions of a server now, and what each user and host has run since the server started."""

    role: str
    uptime: int
    sessions: tuple[Connected, ...]
    statements: Mapping[tuple[str, str], Counts]  # (user, host it comes from) → statements by kind
    connections: Mapping[tuple[str, str], int]  # all since the start
    lost: int  # accounts that did not fit into performance_schema

    def sessions_of(self, pipeline: Pipeline) -> tuple[Connected, ...]:
        """The sessions that are the pipeline's: by its account, and its program where the register names one."""
        return tuple(
            session
            for session in self.sessions
            if session.user == pipeline.key[0]
            and host_matches(pipeline.key[1], session.host)
            and pipeline.program in (None, session.program)
        )

    def statements_of(self, pipeline: Pipeline) -> Counter[str]:
        """What the pipeline has run, by kind: with a program of its own, what its present sessions have."""
        if pipeline.program is None:
            return self.statements_of_account(pipeline)
        found: Counter[str] = Counter()
        for session in self.sessions_of(pipeline):
            found.update(session.statements)
        return found

    def statements_of_account(self, pipeline: Pipeline) -> Counter[str]:
        """What the pipeline's account has run since the server started, by kind, whichever program it was."""
        found: Counter[str] = Counter()
        user, pattern = pipeline.key
        for (seen, host), counts in self.statements.items():
            if seen == user and host_matches(pattern, host):
                found.update(counts)
        return found


def read_traffic(server: Server) -> Traffic:
    """The traffic of a server. Raises TerminalError, with what to grant or set, where it cannot be seen."""
    with server.session() as session:
        if not session.scalar("SELECT @@performance_schema"):
            raise TerminalError(
                f"performance_schema is off on the {server.role}.",
                "Without it nobody can say who is connected and what runs there.",
                "Set the flag performance_schema = on and restart the server, then try again.",
            )
        own = int(session.scalar("SELECT CONNECTION_ID()"))
        counted = _statements(
            session,
            "SELECT USER AS a, HOST AS b, EVENT_NAME AS e, COUNT_STAR AS n, SUM_ERRORS AS f"
            " FROM performance_schema.events_statements_summary_by_account_by_event_name"
            " WHERE USER IS NOT NULL AND COUNT_STAR > 0 AND EVENT_NAME LIKE 'statement/sql/%'",
        )
        of_thread = _statements(
            session,
            "SELECT t.PROCESSLIST_ID AS a, '' AS b, s.EVENT_NAME AS e, s.COUNT_STAR AS n, s.SUM_ERRORS AS f"
            " FROM performance_schema.events_statements_summary_by_thread_by_event_name s"
            " JOIN performance_schema.threads t USING (THREAD_ID)"
            " WHERE t.PROCESSLIST_USER IS NOT NULL AND s.COUNT_STAR > 0 AND s.EVENT_NAME LIKE 'statement/sql/%'",
        )
        programs = {
            int(row["i"]): str(row["v"])
            for row in session.rows(
                "SELECT PROCESSLIST_ID AS i, ATTR_NAME AS n, ATTR_VALUE AS v FROM performance_schema.session_connect_attrs"
                " WHERE ATTR_NAME IN ('program_name', '_client_name') ORDER BY ATTR_NAME"
            )
            if row["v"] is not None
        }
        sessions = tuple(
            Connected(
                int(row["i"]),
                str(row["u"]),
                str(row["h"] or ""),
                programs.get(int(row["i"]), ""),
                str(row["c"]),
                of_thread.get((str(row["i"]), ""), {}),
            )
            for row in session.rows(
                "SELECT PROCESSLIST_ID AS i, PROCESSLIST_USER AS u, PROCESSLIST_HOST AS h, PROCESSLIST_COMMAND AS c"
                " FROM performance_schema.threads WHERE TYPE = 'FOREGROUND' AND PROCESSLIST_USER IS NOT NULL"
            )
            if int(row["i"]) != own
        )
        connections = {
            (str(row["u"]), str(row["h"])): int(row["n"])
            for row in session.rows(
                "SELECT USER AS u, HOST AS h, TOTAL_CONNECTIONS AS n FROM performance_schema.accounts"
                " WHERE USER IS NOT NULL"
            )
        }
        status = {
            str(row["Variable_name"]).lower(): int(row["Value"])
            for row in session.rows(
                "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Performance_schema_accounts_lost')"
            )
        }
    lost = status.get("performance_schema_accounts_lost", 0)
    return Traffic(server.role, status.get("uptime", 0), sessions, counted, connections, lost)


def _statements(session: Session, sql: str) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in session.rows(sql):
        kind = str(row["e"]).rpartition("/")[2]
        # A statement that was refused is no work done.
        found.setdefault((str(row["a"]), str(row["b"])), {})[kind] = max(0, int(row["n"]) - int(row["f"]))
    return found
