"""The commands of the README, run as they are written in a folder of the test's own."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from workbook.params import CHECKOUT


class Lab:
    """A place with a small sandbox and reports of its own, for `make lab`, `make demo` and single commands."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = {
            **os.environ,
            "WORKBOOK_SANDBOX": str(folder / "sandbox"),
            "WORKBOOK_REPORTS": str(folder / "reports"),
            "SCALE": "0.01",
            "LAB_OPTIONS": "--no-browser --port=0",
        }
        self.log = folder / "lab.log"

    def run(self, line: str) -> None:
        """Run a command as the README writes it, its output file in the test's own folder."""
        words = shlex.split(line.replace("/tmp/out.ipynb", str(self.folder / "out.ipynb")))
        if words[0].startswith(".venv/bin/"):
            words[0] = str(Path(sys.executable).with_name(words[0].removeprefix(".venv/bin/")))
        answer = subprocess.run(words, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True)
        assert answer.returncode == 0, f"{line}\n{answer.stdout[-2000:]}\n{answer.stderr[-3000:]}"
