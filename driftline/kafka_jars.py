"""The programs and jars that Apache Kafka needs on this machine: Java, and what Maven fetches once.

The jars lie in `.cache/kafka` of the Python environment (`.venv/.cache/kafka`), in a folder of their own for each
`deploy/kafka/pom.xml`. Maven is needed for the first start alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from driftline.errors import KafkaEngineError
from driftline.loopback import HOST

FOLDER: Final = Path(__file__).resolve().parents[1] / "deploy" / "kafka"
LOG_SETTINGS: Final = FOLDER / "log4j2.properties"
OLDEST_JAVA: Final = 17
_POM: Final = FOLDER / "pom.xml"
_FETCH_WITHIN_S: Final = 300.0
_PACKAGES: Final = {"Java": "openjdk-17-jre-headless", "Maven": "maven"}


def cache_folder() -> Path:
    """Where the jars are kept."""
    return Path(sys.prefix) / ".cache" / "kafka"


def are_fetched() -> bool:
    """Whether the jars are there."""
    return _POM.is_file() and _libraries().is_dir()


def missing() -> list[str]:
    """What this machine lacks for Apache Kafka, empty when nothing; Maven counts while the jars are not there.

    Examples
    --------
    >>> set(missing()) <= {"Java", "Maven"} or missing()[0].startswith("Java 17 or newer (found")
    True
    """
    found, lacking = _java_version(), []
    if found is None:
        lacking.append("Java")
    elif found < OLDEST_JAVA:
        lacking.append(f"Java {OLDEST_JAVA} or newer (found {found})")
    if _POM.is_file() and not are_fetched() and shutil.which("mvn") is None:
        lacking.append("Maven")
    return lacking


def java() -> str:
    """The Java program.

    Raises
    ------
    KafkaEngineError
        When something is missing; names it and the Debian packages that bring it.
    """
    found = _find_java()
    if (lacking := missing()) or found is None:
        packages = " ".join(_PACKAGES[name.split()[0]] for name in lacking)
        raise KafkaEngineError(
            HOST, f"Apache Kafka needs {' and '.join(lacking)}; on Debian: apt-get install {packages}"
        )
    return found


def libraries() -> Path:
    """The folder of the jars; fetched by Maven when it is not there.

    Raises
    ------
    KafkaEngineError
        When they cannot be fetched.
    """
    if not _POM.is_file():
        raise KafkaEngineError(HOST, f"{_POM} is missing; run Apache Kafka from a working copy of driftline")
    try:
        with _locked(cache_folder()):
            if not are_fetched():
                _fetch(_libraries())
    except OSError as error:
        raise KafkaEngineError(HOST, f"cannot keep jars in {cache_folder()}: {error.strerror or error}") from error
    return _libraries()


def _libraries() -> Path:
    return cache_folder() / hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]


def _find_java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return (shutil.which("java", path=str(Path(home) / "bin")) if home else None) or shutil.which("java")


def _java_version() -> int | None:
    """Number of the release of Java on this machine, None without Java."""
    program = _find_java()
    if program is None:
        return None
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match[1]) if match else None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(target: Path) -> None:
    """Into a folder beside it first, so that `target` is complete or not there."""
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", f"-DoutputDirectory={partial}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_FETCH_WITHIN_S)
    except subprocess.TimeoutExpired as error:
        raise KafkaEngineError(HOST, f"Maven did not fetch the jars within {_FETCH_WITHIN_S:.0f} s") from error
    if done.returncode or not any(partial.glob("kafka_*.jar")):
        errors = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
        said = errors[0].removeprefix("[ERROR] ") if errors else f"exit code {done.returncode}"
        raise KafkaEngineError(HOST, f"Maven cannot fetch the jars: {said}")
    partial.rename(target)
