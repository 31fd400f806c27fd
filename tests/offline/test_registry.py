"""Versions count up, aliases point to versions that are there."""

from pathlib import Path

import pytest

from offline.errors import RegistryError, UnknownVersionError
from offline.registry import Registry
from schemas.bundle import REQUIRED_FILES, write_bundle


def _write(registry: Registry) -> str:
    version = registry.next_version()
    files = dict.fromkeys(REQUIRED_FILES, b"{}")
    write_bundle(registry.models_dir, files, workload="w", version=version, workload_hash="0", data_window={})
    return version


def test_versions_count_up_and_are_resolved(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "w")
    with pytest.raises(UnknownVersionError, match="run `driftline train` first"):
        registry.resolve("latest")
    assert [_write(registry) for _ in range(3)] == ["v0001", "v0002", "v0003"]
    assert registry.resolve("latest") == "v0003"
    registry.set_alias("champion", "v0002")
    assert registry.resolve("champion") == "v0002"
    assert registry.load("champion").manifest.version == "v0002"
    assert registry.alias("challenger") is None


def test_an_alias_never_points_nowhere(tmp_path: Path) -> None:
    registry = Registry(tmp_path, "w")
    _write(registry)
    with pytest.raises(UnknownVersionError, match="versions there: v0001"):
        registry.set_alias("champion", "v0009")
    with pytest.raises(UnknownVersionError):
        registry.resolve("champion")
    with pytest.raises(RegistryError, match="no alias"):
        registry.set_alias("best", "v0001")
