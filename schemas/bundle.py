"""A model bundle: a folder of files whose hashes are written down, so that what was checked is what is used.

``<models>/<workload>/<version>/``. The files are read once; the bytes whose hash was checked are the bytes returned,
and nobody opens the files again. A bundle never changes: writing a version twice is refused. Nothing is unpickled.
Beside the manifest may lie its signature, outside the bundle's id; who may sign is `schemas.signatures`' matter.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from schemas.errors import BundleError
from schemas.lake import write_atomic
from schemas.signatures import SIGNATURE, Signer, Trust

MANIFEST: Final = "manifest.json"
CORE_FILES: Final = ("model.ubj", "calibration.json", "threshold.json", "workload.toml", "reference.json")
REQUIRED_FILES: Final = (*CORE_FILES, "evaluation.json", "card.md")
MAX_FILE_BYTES: Final = 1 << 30
_VERSION: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,62}[A-Za-z0-9]|[A-Za-z0-9]", re.ASCII)
_WORKLOAD: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
_FILE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9]{1,16}){1,2}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds and what it was made of.

    Parameters
    ----------
    workload, version
        The folder, relative to the models folder.
    workload_hash
        Content hash of the frozen workload.
    bundle_id
        SHA-256 (hex) of the core files and the data window; dates and reports are outside.
    files
        File name -> SHA-256 (hex).
    data_window
        JSON-able: days, topics and offsets that the model was trained on.
    libraries
        Library -> version.
    architecture
        CPU architecture it was trained on; "" when unknown.
    git_revision
        Of the code; "" when unknown.
    created_ms
        Wall-clock time, None when not told.
    """

    workload: str
    version: str
    workload_hash: str
    bundle_id: str
    files: Mapping[str, str]
    data_window: Mapping[str, Any]
    libraries: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""
    git_revision: str = ""
    created_ms: int | None = None

    def to_json(self) -> bytes:
        """The bytes of ``manifest.json``."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: the manifest and the very bytes that were hashed."""

    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)
    path: Path = Path()

    def json(self, name: str) -> Any:
        """The content of a JSON file of the bundle.

        Raises
        ------
        BundleError
            When it is not there or is not JSON.
        """
        try:
            return json.loads(self.files[name])
        except KeyError:
            raise BundleError(self.path / name, "is not in the bundle") from None
        except ValueError as cause:
            raise BundleError(self.path / name, f"is not JSON: {cause}") from cause


def bundle_id_of(core: Mapping[str, str], data_window: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the sorted core files' hashes and the data window.

    Parameters
    ----------
    core
        File name -> SHA-256 (hex); names outside ``CORE_FILES`` are not looked at.
    """
    content = {"files": {name: core[name] for name in CORE_FILES}, "data_window": data_window}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def bundle_dir(models_dir: Path, workload: str, version: str) -> Path:
    """The folder of a bundle.

    Raises
    ------
    BundleError
        When a name could lead anywhere else.
    """
    if not _WORKLOAD.fullmatch(workload):
        raise BundleError(workload, "is not a workload name")
    if not _VERSION.fullmatch(version):
        raise BundleError(version, "is not a version; allowed are up to 64 of A-Z a-z 0-9 . _ - without '..'")
    root = Path(models_dir).resolve()
    path = root / workload / version
    if path.resolve() != path:
        raise BundleError(path, "leads out of the models folder")
    return path


def released_bundle_dir(models_dir: Path, path: str) -> Path:
    """The folder that a release record's ``path`` names: ``<workload>/<version>`` and nothing else."""
    parts = path.split("/")
    if len(parts) != 2:
        raise BundleError(path, "is not <workload>/<version>")
    return bundle_dir(models_dir, *parts)


def write_bundle(
    models_dir: Path,
    files: Mapping[str, bytes],
    *,
    workload: str,
    version: str,
    workload_hash: str,
    data_window: Mapping[str, Any],
    libraries: Mapping[str, str] | None = None,
    architecture: str = "",
    git_revision: str = "",
    created_ms: int | None = None,
    signer: Signer | None = None,
) -> Bundle:
    """Write a new bundle, signed if there is a signer; its folder appears whole or not at all.

    Raises
    ------
    BundleError
        When a required file is missing, a name is not allowed, or the version exists.
    """
    target = bundle_dir(models_dir, workload, version)
    for name in REQUIRED_FILES:
        if name not in files:
            raise BundleError(target, f"lacks {name}")
    for name in files:
        if name in (MANIFEST, SIGNATURE) or not _FILE.fullmatch(name):
            raise BundleError(target, f"cannot hold a file named {name!r}")
    hashes = {name: _sha256(data) for name, data in sorted(files.items())}
    manifest = Manifest(
        workload=workload,
        version=version,
        workload_hash=workload_hash,
        bundle_id=bundle_id_of(hashes, data_window),
        files=hashes,
        data_window=data_window,
        libraries=libraries or {},
        architecture=architecture,
        git_revision=git_revision,
        created_ms=created_ms,
    )
    signature = {} if signer is None else {SIGNATURE: signer.sign(manifest.to_json())}
    _place(target, {**files, MANIFEST: manifest.to_json(), **signature})
    return Bundle(manifest, dict(files), target)


def read_bundle(path: Path, bundle_id: str | None = None, trust: Trust | None = None) -> Bundle:
    """Read a bundle and check every byte.

    Parameters
    ----------
    path
        Its folder, from `bundle_dir` or `released_bundle_dir`.
    bundle_id
        What the release record says; None trusts the manifest.
    trust
        Whose bundles are taken; None takes all. The product always says it.

    Raises
    ------
    BundleError
        When a file is missing, changed or not allowed, when the bundle is another than `bundle_id` says, or not signed
        by whom one trusts.
    """
    manifest = _manifest(path, trust or Trust())
    files: dict[str, bytes] = {}
    for name, expected in manifest.files.items():
        files[name] = _read(path / name)
        if _sha256(files[name]) != expected:
            raise BundleError(path / name, "has changed since the bundle was written")
    if bundle_id_of(manifest.files, manifest.data_window) != manifest.bundle_id:
        raise BundleError(path, "has a bundle_id that does not follow from its files")
    if bundle_id is not None and manifest.bundle_id != bundle_id:
        raise BundleError(path, f"is bundle {manifest.bundle_id[:16]}, the release says {bundle_id[:16]}")
    return Bundle(manifest, files, path)


def list_bundles(models_dir: Path, workload: str) -> tuple[str, ...]:
    """Versions that have a manifest, by name."""
    if not _WORKLOAD.fullmatch(workload):
        raise BundleError(workload, "is not a workload name")
    found = (Path(models_dir) / workload).glob(f"*/{MANIFEST}")
    return tuple(sorted(path.parent.name for path in found if _VERSION.fullmatch(path.parent.name)))


def sign_bundle(bundle: Bundle, signer: Signer) -> None:
    """Put a signature beside the manifest of a bundle that has just been read, in place of an older one."""
    write_atomic(bundle.path / SIGNATURE, signer.sign(bundle.manifest.to_json()))


def _manifest(path: Path, trust: Trust) -> Manifest:
    data = _read(path / MANIFEST)
    trust.check(path, data, _read(path / SIGNATURE) if (path / SIGNATURE).exists() else None)
    try:
        content = json.loads(data)
    except ValueError as cause:
        raise BundleError(path / MANIFEST, f"is not JSON: {cause}") from cause
    names = {f.name for f in fields(Manifest)}
    if not isinstance(content, dict) or set(content) != names:
        raise BundleError(path / MANIFEST, f"must have exactly {', '.join(sorted(names))}")
    if not isinstance(content["files"], dict) or not isinstance(content["data_window"], dict):
        raise BundleError(path / MANIFEST, "has files or data_window that are no table")
    for name, sha256 in content["files"].items():
        if name in (MANIFEST, SIGNATURE) or not _FILE.fullmatch(name) or not _SHA256.fullmatch(str(sha256)):
            raise BundleError(path / MANIFEST, f"lists {name!r}, which is not allowed")
    for name in REQUIRED_FILES:
        if name not in content["files"]:
            raise BundleError(path, f"lacks {name}")
    manifest = Manifest(**content)
    if (manifest.workload, manifest.version) != (path.parent.name, path.name):
        raise BundleError(path, f"says that it is {manifest.workload}/{manifest.version}")
    return manifest


def _read(path: Path) -> bytes:
    try:
        if path.is_symlink() or path.stat().st_size > MAX_FILE_BYTES:
            raise BundleError(path, f"is a link, or larger than {MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except OSError as cause:
        raise BundleError(path, f"cannot be read: {cause.strerror}") from cause


def _place(target: Path, files: Mapping[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=target.parent))
    try:
        for name, data in files.items():
            with (draft / name).open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        draft.chmod(0o755)
        if target.exists():
            raise BundleError(target, "exists; a version never changes")
        draft.rename(target)
    except OSError as cause:
        raise BundleError(target, f"cannot be written: {cause.strerror}") from cause
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
