"""Row filters: conditions of the owner's, held to one expression over the table's own columns that always answers alike."""

from collections.abc import Collection

# Functions that answer the same whenever and by whomever they are asked. Whatever is not here may be a stored function.
_FUNCTIONS = {
    "ABS", "ASCII", "BINARY", "BIT_COUNT", "CAST", "CEIL", "CEILING", "CHAR", "CHAR_LENGTH", "CHARACTER_LENGTH",
    "COALESCE", "CONCAT", "CONCAT_WS", "CONVERT", "CRC32", "DATE", "DATEDIFF", "DATE_ADD", "DATE_SUB", "DAY",
    "DAYOFMONTH", "DAYOFWEEK", "DAYOFYEAR", "DECIMAL", "FIND_IN_SET", "FLOOR", "GREATEST", "HEX", "HOUR", "IF", "IFNULL",
    "INSTR", "ISNULL", "JSON_CONTAINS", "JSON_EXTRACT", "JSON_LENGTH", "JSON_UNQUOTE", "JSON_VALID", "LAST_DAY", "LEAST",
    "LEFT", "LENGTH", "LOCATE", "LOWER", "LTRIM", "MICROSECOND", "MINUTE", "MOD", "MONTH", "NULLIF", "OCTET_LENGTH",
    "POSITION", "QUARTER", "REGEXP_LIKE", "REPLACE", "REVERSE", "RIGHT", "ROUND", "RTRIM", "SECOND", "SHA2", "SIGN",
    "SUBSTR", "SUBSTRING", "SUBSTRING_INDEX", "TIME", "TIMESTAMP", "TIMESTAMPDIFF", "TO_DAYS", "TRIM", "TRUNCATE",
    "UNHEX", "UPPER", "WEEKDAY", "YEAR",
}  # fmt: skip
# Words that may stand before a bracket and call nothing.
_OPERATORS = {
    "ALL", "AND", "BETWEEN", "CASE", "DIV", "ELSE", "IN", "INTERVAL", "IS", "LIKE", "NOT", "OR", "REGEXP", "RLIKE",
    "THEN", "WHEN", "XOR",
}  # fmt: skip
# Functions that need no brackets.
_BARE = {
    "CURRENT_DATE", "CURRENT_ROLE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER", "LOCALTIME", "LOCALTIMESTAMP",
    "SESSION_USER", "SYSTEM_USER", "USER", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP",
}  # fmt: skip
# What sqlglot calls the parts that no condition over one row has.
_NEVER = (
    "Query", "Exists", "Parameter", "SessionParameter", "Placeholder", "Alias", "Star", "Command", "PropertyEQ", "Window",
    "AggFunc",
)  # fmt: skip
_QUOTED = ("STRING", "IDENTIFIER", "NATIONAL_STRING", "RAW_STRING")
_MARKS = ("/*", "*/", "--", "#", ";", "@", "?")


def why_refused(text: str, columns: Collection[str]) -> str | None:
    """What is wrong with a row filter over a table with these columns, in words; None where it may run."""
    import sqlglot  # here: it takes long to import, and few mappings have a filter
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tokens = sqlglot.tokenize(text, read="mysql")
        trees = sqlglot.parse(text, read="mysql")
    except SqlglotError as error:
        return f"it cannot be read: {str(error).splitlines()[0][:120]}"
    if len(trees) != 1 or trees[0] is None or not isinstance(trees[0], exp.Condition):
        return "it is not one condition"
    bare = text
    for token in reversed(tokens):
        if token.token_type.name in _QUOTED:
            bare = bare[: token.start] + " " * (token.end + 1 - token.start) + bare[token.end + 1 :]
    mark = next((mark for mark in _MARKS if mark in bare), None)
    if mark is not None:
        return f"it holds {mark!r}: comments, variables and further statements are not for a condition"
    never = tuple(getattr(exp, name) for name in _NEVER)
    odd = next((node for node in trees[0].walk() if isinstance(node, never)), None)
    if odd is not None:
        return f"it holds {type(odd).__name__.lower()}: only the row itself may decide"
    for token in tokens:
        word = token.text.upper()
        if token.token_type.name in _QUOTED and not text[token.end + 1 :].lstrip().startswith("("):
            continue
        called = text[token.end + 1 :].lstrip().startswith("(") and (word[:1].isalpha() or word[:1] in "_`")
        if called and word not in _FUNCTIONS and word not in _OPERATORS:
            return f"it calls {token.text}(), which is not known to answer the same at any time"
        if word in _BARE:
            return f"it asks for {word}, which is another at another time or for another account"
    known = {name.lower() for name in columns}
    for column in trees[0].find_all(exp.Column):
        if column.table or column.name.lower() not in known:
            return f"it names {column.sql(dialect='mysql')}, which is no column of the table"
    if not any(True for _ in trees[0].find_all(exp.Column)):
        return "it names no column, so it would keep all rows or none"
    return None
