"""A bundle is what it was, to the byte, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.bundle import (
    CORE_FILES,
    MANIFEST,
    REQUIRED_FILES,
    Bundle,
    bundle_dir,
    list_bundles,
    read_bundle,
    released_bundle_dir,
    write_bundle,
)
from schemas.errors import BundleError

FILES = {name: f"content of {name}".encode() for name in REQUIRED_FILES} | {"threshold.json": b'{"tick": 0.5}'}
WINDOW = {"first_day": 1, "last_day": 9, "offsets": {"usage": [[0, 5]]}}


def write(root: Path, version: str = "v1", files: dict[str, bytes] | None = None, **other: Any) -> Bundle:
    arguments = {"workload": "small", "workload_hash": "ab", "data_window": WINDOW} | other
    return write_bundle(root, files or FILES, version=version, **arguments)


def test_a_bundle_reads_back_with_the_bytes_that_were_hashed(tmp_path: Path) -> None:
    bundle = write(tmp_path, libraries={"xgboost": "3"}, architecture="x86_64")
    read = read_bundle(released_bundle_dir(tmp_path, "small/v1"), bundle.manifest.bundle_id)
    assert read.manifest == bundle.manifest
    assert read.files == FILES
    assert read.json("threshold.json") == {"tick": 0.5}
    assert list_bundles(tmp_path, "small") == ("v1",)
    assert sorted(p.name for p in (tmp_path / "small").iterdir()) == ["v1"]


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_one_changed_byte_is_seen(tmp_path: Path, name: str) -> None:
    path = write(tmp_path).path
    data = bytearray((path / name).read_bytes())
    data[-1] ^= 1
    (path / name).write_bytes(bytes(data))
    with pytest.raises(BundleError, match="has changed"):
        read_bundle(path)


def test_a_file_and_its_hash_changed_together_are_seen_by_the_bundle_id(tmp_path: Path) -> None:
    path, other = write(tmp_path).path, write(tmp_path, "v2", FILES | {"model.ubj": b"other"})
    (path / "model.ubj").write_bytes(b"other")
    manifest = json.loads((path / MANIFEST).read_bytes())
    manifest["files"]["model.ubj"] = other.manifest.files["model.ubj"]
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="does not follow"):
        read_bundle(path)
    with pytest.raises(BundleError, match="the release says"):
        read_bundle(other.path, "0" * 64)


def test_the_id_covers_the_core_and_the_window_and_no_report(tmp_path: Path) -> None:
    base = write(tmp_path).manifest.bundle_id
    for index, name in enumerate(REQUIRED_FILES):
        changed = write(tmp_path, f"f{index}", FILES | {name: b"other"}).manifest.bundle_id
        assert (changed != base) == (name in CORE_FILES)
    assert write(tmp_path, "w", data_window={"first_day": 2}).manifest.bundle_id != base
    assert write(tmp_path, "d", created_ms=5, git_revision="x").manifest.bundle_id == base


@pytest.mark.parametrize("version", ["", ".", "..", "../v1", "a/b", "a..b", ".hidden", "v1\n", "v 1", "x" * 65, "é"])
def test_a_version_that_could_lead_elsewhere_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(BundleError):
        bundle_dir(tmp_path, "small", version)
    with pytest.raises(BundleError):
        released_bundle_dir(tmp_path, f"small/{version}")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "outside").path
    (tmp_path / "models" / "small").mkdir(parents=True)
    (tmp_path / "models" / "small" / "v1").symlink_to(path)
    with pytest.raises(BundleError, match="leads out"):
        released_bundle_dir(tmp_path / "models", "small/v1")


@pytest.mark.parametrize("name", ["../x.json", "a/b.json", MANIFEST, ".x", "x", "model.ubj.a.b"])
def test_a_file_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="cannot hold"):
        write(tmp_path, files=FILES | {name: b""})
    path = write(tmp_path).path
    manifest = json.loads((path / MANIFEST).read_bytes())
    manifest["files"][name] = "0" * 64
    (path / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="not allowed"):
        read_bundle(path)


def test_a_version_never_changes_and_nothing_is_left_half_written(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(BundleError, match="never changes"):
        write(tmp_path)
    with pytest.raises(BundleError, match=r"lacks model\.ubj"):
        write(tmp_path, "v2", {name: FILES[name] for name in REQUIRED_FILES if name != "model.ubj"})
    assert sorted(p.name for p in (tmp_path / "small").iterdir()) == ["v1"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {}}'])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path).path
    (path / MANIFEST).write_text(text)
    with pytest.raises(BundleError):
        read_bundle(path)


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        read_bundle(bundle_dir(tmp_path, "small", "gone"))
