"""Our comparison of a database's content, source against target, as a process: prints each table's verdict as JSON."""

import json
import sys

from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.params import load
from workbook.servers import connect_source, connect_target
from workbook.validate.content import Servers, compare_table


def main() -> None:
    settings = load(sys.argv[1])
    source, target = connect_source(settings), connect_target(settings)
    catalog = read_catalog(source, settings.source.databases)
    mapping = generate(catalog, None, True)
    for item in mapping.in_scope:
        (found,) = compare_table(Servers(source, target, None), catalog.table[item.path], item, settings)
        keys = [dict(row.key)["id"] for row in found.samples if not row.keyless]
        print(json.dumps({"verdict": found.verdict, "rows": found.rows_source, "changed": found.changed, "keys": keys}))


if __name__ == "__main__":
    main()
