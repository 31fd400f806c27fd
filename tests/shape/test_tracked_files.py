"""What must not be in the repository: addresses of package registries, paths of one machine, a lock that drifted."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Written in parts, so that this file does not find itself.
REGISTRIES = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "index" + "-url =",
    "repo1.maven" + ".org",
    "repo.maven" + ".apache.org",
    "registry.npm" + "js.org",
    "proxy.go" + "lang.org",
]
MACHINE_PATHS = re.compile(r"(?<![\w.])/" + r"(?:root|work|Users|home/(?!appuser\b)\w+|tmp/w)/")
SUFFIXES_OF_DATA = {".avro", ".csv", ".gz", ".ico", ".parquet", ".png", ".ubj"}


def files(root: Path) -> list[Path]:
    """Tracked and new files of the working copy that are text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git working copy")
    paths = [root / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix not in SUFFIXES_OF_DATA]


def test_no_file_names_a_package_registry(repository: Path) -> None:
    found = [
        f"{path.relative_to(repository)}: {registry}"
        for path in files(repository)
        for registry in REGISTRIES
        if registry in path.read_text(encoding="utf-8")
    ]
    assert found == []


def test_no_file_names_a_path_of_one_machine(repository: Path) -> None:
    found = [
        f"{path.relative_to(repository)}:{number}: {match.group()}"
        for path in files(repository)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := MACHINE_PATHS.search(line))
    ]
    assert found == []


def locked(repository: Path) -> dict[str, list[Requirement]]:
    """Requirements of the lock by name; one name may stand twice under different markers."""
    by_name: dict[str, list[Requirement]] = {}
    for line in (repository / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            by_name.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return by_name


def test_the_lock_has_exact_versions_and_no_addresses(repository: Path) -> None:
    for requirements in locked(repository).values():
        for requirement in requirements:
            assert re.fullmatch(r"==[\w.+!]+", str(requirement.specifier)), requirement
            assert requirement.url is None


def test_the_lock_satisfies_the_declared_ranges(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = locked(repository)
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    for declared in map(Requirement, [*project["dependencies"], *extras]):
        if declared.name == project["name"]:  # other extras
            continue
        found = lock.get(canonicalize_name(declared.name))
        assert found, f"{declared.name} is not in requirements.lock; run: make lock"
        for requirement in found:
            version = str(requirement.specifier).removeprefix("==")
            assert declared.specifier.contains(version), f"{requirement} is outside {declared}"


def test_no_library_of_graphics_cards_is_installed(repository: Path) -> None:
    for name, requirements in locked(repository).items():
        if name.startswith("nvidia"):
            for requirement in requirements:
                assert requirement.marker is not None
                assert not requirement.marker.evaluate({"sys_platform": "linux"})
