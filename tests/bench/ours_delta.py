"""Our proof of a database's content as a process, source against target: in full, noting where it stood, or by what was touched since.

`full PARAMS NOTES` writes the notes that `delta PARAMS NOTES` goes on from; both print what they found as JSON.
"""

import json
import sys
import time
from pathlib import Path

from workbook.catalog import read_catalog
from workbook.mapping import generate
from workbook.params import load
from workbook.servers import connect_source, connect_target
from workbook.validate.content import Servers
from workbook.validate.delta import Earlier, compare_since, cursor_of, since
from workbook.validate.fence import Fence
from workbook.validate.result import Validation
from workbook.validate.touched import place


def main() -> None:
    mode, params, notes = sys.argv[1:]
    settings = load(params, {"validate.mode": mode})
    source, target = connect_source(settings), connect_target(settings)
    catalog = read_catalog(source, settings.source.databases)
    mapping = generate(catalog, None, True)
    started = time.monotonic()
    cursor, why = cursor_of((place(source), place(target)), catalog, mapping, None, settings)
    assert cursor, why
    earlier = Earlier()
    if mode == "delta":
        kept = json.loads(Path(notes).read_text())
        earlier = Earlier(kept["cursor"], kept["result"], "")
    known = since(earlier, cursor, why, source, target, catalog, mapping, settings)
    servers = Servers(source, target, None, fence=Fence(source, target, settings.environment, 30))
    (item,) = mapping.in_scope
    (found,), whole = compare_since(known, servers, catalog.table[item.path], item, settings)
    seconds = time.monotonic() - started
    if mode == "full":
        result = Validation((found,), (), (), (), {}).asdict()
        Path(notes).write_text(json.dumps({"cursor": {**cursor, "run": "full"}, "result": result}))
    keys = [dict(row.key)["id"] for row in found.samples if not row.keyless]
    said = {
        "verdict": found.verdict,
        "rows": found.rows_source,
        "touched": found.touched,
        "keys": keys,
        "seconds": seconds,
    }
    print(json.dumps({**said, "proof": found.proof, "why": known.why or whole}))


if __name__ == "__main__":
    main()
