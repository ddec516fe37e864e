"""What MariaDB has and MySQL has not: a row for each, with what becomes of it."""

from workbook.assess import search_dialect as dialect
from workbook.assess import search_mariadb as search
from workbook.assess.check import Check
from workbook.assess.search import code

_CODE = ("statements",)
_ANY = ("cloud-sql", "mysql")
_ONLY = ("mariadb",)

MARIADB: tuple[Check, ...] = (
    Check(0, "sequence", "Sequences", "decide", "hours",
          "MySQL has none: the schema phase leaves them out, and columns lose the default that drew from one.",
          "Give such columns AUTO_INCREMENT, or keep a table that counts.",
          None, search.sequences, _CODE, _ANY, sources=_ONLY),
    Check(0, "system-versioning", "Tables that keep their history", "decide", "hours",
          "MySQL keeps no versions of rows: those of today move, the history stays.",
          "Copy the history into a table of its own before the move where somebody asks for it.",
          None, search.versioned, _CODE, _ANY, sources=_ONLY),
    Check(0, "returning", "RETURNING", "decide", "hours",
          "MySQL's INSERT, REPLACE and DELETE return no rows.",
          "Read the rows in a statement of its own, in the same transaction.",
          None, code("RETURNING", search.words(("RETURNING",))), _CODE, _ANY, sources=_ONLY),
    Check(0, "package", "Packages and Oracle mode", "decide", "project",
          "MySQL has neither: the schema phase leaves the code out.",
          "Write it anew as procedures and functions.",
          None, search.packages, (), _ANY, sources=_ONLY),
    Check(0, "generated-column", "Generated columns by functions that MySQL has not", "decide", "hours",
          "The table cannot be made with such a column.",
          "Write the expression with functions that both have, on the source.",
          None, dialect.generated_columns, (), _ANY, sources=_ONLY),
    Check(0, "aria", "Aria tables", "mend", "automatic",
          "MySQL has no Aria.", "The schema phase makes them InnoDB tables; they are read outside of the snapshot.",
          "schema", search.aria, (), _ANY, sources=_ONLY),
    Check(0, "native-type", "Types uuid, inet4 and inet6", "mend", "automatic",
          "MySQL has none of them.", "The schema phase makes them text of the length that holds every value; their order is that of the text.",
          "schema", search.native_types, (), _ANY, sources=_ONLY),
    Check(0, "json-text", "JSON that is text", "note", "minutes",
          "MariaDB's JSON is a LONGTEXT with a check, and stays one: MySQL's own type would sort keys and rewrite numbers.",
          "Make the column JSON after the move where its functions are wanted.",
          None, search.json_text, (), _ANY, sources=_ONLY),
    Check(0, "mariadb-form", "Forms of statements that MySQL refuses", "decide", "hours",
          "IF NOT EXISTS and IF EXISTS inside of ALTER TABLE, OR REPLACE of tables, FOR … IN, EXECUTE IMMEDIATE, LIMIT … ROWS EXAMINED.",
          "Write the statement in MySQL's form; the schema phase leaves out code that it cannot make.",
          None, code("a form of MariaDB's own", search.words(
              ("ADD|DROP|MODIFY|CHANGE", "COLUMN|INDEX|KEY|FOREIGN|CONSTRAINT", "IF"), ("OR", "REPLACE", "TABLE"),
              ("EXECUTE", "IMMEDIATE"), ("ROWS", "EXAMINED"), ("CREATE", "INDEX", "IF"), ("DELETE", "HISTORY"))),
          _CODE, _ANY, sources=_ONLY),
    Check(0, "mariadb-function", "Functions that MySQL has not", "decide", "hours",
          "What calls them fails.", "Use what MySQL has in their place; the schema phase leaves such code out.",
          None, search.own_functions, _CODE, _ANY, sources=_ONLY),
    Check(0, "mariadb-collation", "Collations that MySQL has not", "mend", "automatic",
          "Sorting and comparing follow the nearest collation that MySQL has.",
          "The schema phase chooses it; params/README.md says which.",
          "schema", search.collations, (), _ANY, sources=_ONLY),
    Check(0, "mariadb-login", "Ways to log in that MySQL has not", "decide", "hours",
          "The secret of ed25519, unix_socket and the like does not move.",
          "The accounts phase locks the account and puts it on its reset list.",
          None, search.socket_accounts, ("accounts",), _ANY, sources=_ONLY),
)  # fmt: skip
