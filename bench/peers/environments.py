"""Environments of the other engines, made on demand below the cache folder of ``.venv``; nothing is installed beside
the product's own packages.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.machine import ROOT

CACHE = ROOT / ".venv" / ".cache" / "peers"
HERE = Path(__file__).parent
OVERRIDES = HERE / "requirements" / "overrides"  # left out: XGBoost's part for graphics cards, 360 MB
TIMEOUT_S = 900.0


class EnvironmentMissing(Exception):
    """An engine cannot be installed here; the message says why in one line."""


@dataclass(frozen=True)
class Java:
    """Compiled classes and the libraries they stand on."""

    java: str
    classes: Path
    libraries: Path

    def command(self, *options: str) -> list[str]:
        """A Java process, up to the name of the class."""
        return [self.java, *options, "-cp", f"{self.classes}:{self.libraries}/*"]


def python_for(peer: str) -> Path:
    """The Python of a peer's own environment, with the versions of its requirements file.

    Raises
    ------
    EnvironmentMissing
        When it cannot be installed.
    """
    folder, wanted = CACHE / peer, HERE / "requirements" / f"{peer}.txt"
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if not done.exists() or done.read_text() != wanted.read_text():
        uv = Path(sys.executable).parent / "uv"
        _run(peer, [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        install = [str(uv), "pip", "install", "--quiet", "--python", str(python), "--overrides", str(OVERRIDES)]
        _run(peer, [*install, "-r", str(wanted)])
        done.write_text(wanted.read_text())
    return python


def kafka_streams() -> Java:
    """Kafka Streams and the job on it, compiled.

    Raises
    ------
    EnvironmentMissing
        When Java or Maven is not there, or the libraries cannot be fetched.
    """
    java, javac, maven = shutil.which("java"), shutil.which("javac"), shutil.which("mvn")
    if java is None or javac is None or maven is None:
        raise EnvironmentMissing("Kafka Streams needs a JDK (17) and Maven")
    project, folder = HERE / "kafka_streams", CACHE / "kafka_streams"
    libraries, classes, done = folder / "libraries", folder / "classes", folder / "installed.txt"
    sources = sorted((project / "src").rglob("*.java"))
    pom = (project / "pom.xml").read_text()
    if not done.exists() or done.read_text() != pom:
        shutil.rmtree(libraries, ignore_errors=True)
        copy = f"-DoutputDirectory={libraries}"
        _run("Kafka Streams", [maven, "-q", "-B", "-f", str(project / "pom.xml"), "dependency:copy-dependencies", copy])
        done.write_text(pom)
    shutil.rmtree(classes, ignore_errors=True)
    compiled = [javac, "--release", "17", "-nowarn", "-d", str(classes), "-cp", f"{libraries}/*"]
    _run("Kafka Streams", [*compiled, *map(str, sources)])
    return Java(java, classes, libraries)


def _run(peer: str, command: list[str]) -> None:
    try:
        finished = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentMissing(f"{peer}: {error}") from error
    if finished.returncode:
        lines = (finished.stderr or finished.stdout).decode(errors="replace").strip().splitlines()
        raise EnvironmentMissing(f"{peer}: {lines[-1].strip() if lines else finished.returncode}")
