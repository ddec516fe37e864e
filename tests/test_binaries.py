"""The server programs are fetched once, however many sandboxes come up at once with an empty cache."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbook.errors import TerminalError
from workbook.sandbox import binaries


@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
def test_two_that_find_no_server_fetch_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flavour: str) -> None:
    fetched = []

    def fetch(root: Path, *_: object) -> None:
        fetched.append(root)
        time.sleep(0.3)
        root.mkdir()
        (root / "complete").touch()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(binaries, "_fetch", fetch)
    monkeypatch.setattr(binaries, "_inspect", lambda *_: None)

    def find(_: int) -> None:
        with pytest.raises(TerminalError, match="loader"):
            binaries.find_server(flavour)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(find, range(2)))
    assert len(fetched) == 1
