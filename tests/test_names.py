"""Names: quoting per dialect, and names that BigQuery can hold."""

from hypothesis import given
from hypothesis import strategies as st

from workbook.names import bigquery_names, mysql_string, quote_bigquery, quote_mysql


@given(st.text(min_size=1, max_size=64).filter(lambda name: "\0" not in name))
def test_a_quoted_mysql_name_ends_only_where_it_should(name: str) -> None:
    quoted = quote_mysql(name)
    assert quoted[0] == quoted[-1] == "`"
    assert quoted[1:-1].replace("``", "").count("`") == 0
    assert quoted[1:-1].replace("``", "`") == name


@given(st.text(max_size=64))
def test_a_mysql_string_reads_back_as_itself(value: str) -> None:
    inner = mysql_string(value)[1:-1]
    read = inner.replace("\\0", "\0") if "\0" in value and "\\" not in value else inner
    assert read.replace("''", "'").replace("\\\\", "\\") == value or "\0" in value


@given(st.text(max_size=64))
def test_a_quoted_bigquery_name_holds_no_bare_backtick(name: str) -> None:
    inner = quote_bigquery(name)[1:-1]
    assert "`" not in inner.replace("\\\\", "").replace("\\`", "")


@given(st.lists(st.text(min_size=1, max_size=64), unique=True, max_size=20))
def test_names_for_bigquery_are_valid_and_unique_without_regard_to_case(names: list[str]) -> None:
    mapped = bigquery_names(names)
    assert list(mapped) == names
    assert len({value.lower() for value in mapped.values()}) == len(names)
    for value in mapped.values():
        assert value.isascii()
        assert value.replace("_", "a").isalnum()
        assert not value[0].isdigit()
        assert len(value) <= 300


def test_hostile_names_are_mapped_readably() -> None:
    assert bigquery_names(["order", "Order ", "größe", "日本", "_partition_x", "1st"]) == {
        "order": "order",
        "Order ": "Order_",
        "größe": "gro__e",
        "日本": "u_65e5_672c",
        "_partition_x": "c_partition_x",
        "1st": "c_1st",
    }
