"""A pipeline that runs: a process of its own, which has Beam read its options before anything else happens, says in a log
why it failed, and ends with the one that started it."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workbook.beam import options
from workbook.errors import TransientError, UsageError, WorkbookError

_PATIENCE_SECONDS = 20
_LAST_LINES = 12


class Running:
    """The process of `module`, whose main is `live`.

    Raises UsageError where Beam (which must be installed) does not understand `arguments`.
    """

    def __init__(self, module: str, arguments: Sequence[str]):
        handle, name = tempfile.mkstemp(prefix="workbook-beam-", suffix=".log")
        self.log = Path(name)
        with os.fdopen(handle, "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                # Not of our process group: Ctrl-C is for us, and ends the pipeline by its input's end.
                start_new_session=True,
            )
        try:
            self._tell({"arguments": list(arguments)})
            assert self._process.stdout is not None
            answer = self._process.stdout.readline()
            if not answer:
                raise self.failed("Beam's process ended before it began.")
            if wrong := json.loads(answer)["wrong"]:
                raise options.not_understood(wrong)
        except BaseException as error:
            self.close()
            if isinstance(error, UsageError):
                self.log.unlink(missing_ok=True)
            raise

    def begin(self, arguments: Sequence[str], orders: dict[str, Any]) -> None:
        """Start the pipeline with these options and orders (plain values, none of them secret)."""
        self._tell({"arguments": list(arguments), "orders": orders})

    @property
    def ended(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def failed(self, found: str) -> WorkbookError:
        """An error that ends with the last lines of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = "\n".join(line[:400] for line in lines[-_LAST_LINES:])
        return TransientError(
            f"{found} Its last words:\n{said}",
            "What it was to do is not done; what was committed stays.",
            f"Look into {self.log}, then run the phase again: it goes on where it stopped.",
        )

    def close(self) -> None:
        """End it, whatever it does; a job on Dataflow is cancelled. The log of one that went well goes too."""
        for end in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if end is not None:
                    end.close()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.returncode == 0:
            self.log.unlink(missing_ok=True)

    def _tell(self, words: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        # One that has died already is noticed by its silence.
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()


def live(build: Callable[[dict[str, Any], Sequence[str], Any], Any]) -> None:
    """The life of a pipeline's process: check the options, then `build` (from orders, options, runner) and run.

    It ends when nobody waits for it any more, and takes the local runner's workers along.
    """
    asked = json.loads(sys.stdin.buffer.readline())
    print(json.dumps({"wrong": options.wrong(asked["arguments"])}), flush=True)
    line = sys.stdin.buffer.readline()
    if not line:
        return
    told = json.loads(line)
    remote = any(word.startswith("--runner=") for word in told["arguments"])
    pipeline = build(told["orders"], told["arguments"], None if remote else local_runner())
    running: list[Any] = []

    def listen() -> None:
        sys.stdin.buffer.read()
        for job in running:
            with contextlib.suppress(Exception):
                job.cancel()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=listen, daemon=True).start()
    running.append(pipeline.run())
    running[0].wait_until_finish()
    # The listener still reads, which an orderly end would wait for.
    os._exit(0)


def local_runner() -> Any:
    """Beam's runner for this machine, with worker processes. It needs nothing from elsewhere, which Prism would."""
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    worker = f"{shlex.quote(sys.executable)} -m apache_beam.runners.worker.sdk_worker_main"
    return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(worker))
