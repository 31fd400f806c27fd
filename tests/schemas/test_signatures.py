"""Where keys are trusted, a bundle is taken from their owners alone: the checked bytes are the parsed ones."""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from schemas.bundle import MANIFEST, REQUIRED_FILES, Bundle, read_bundle, sign_bundle, write_bundle
from schemas.errors import BundleError, SettingsError
from schemas.settings import Settings
from schemas.signatures import SIGNATURE, Signer, Trust, create_signer, load_signer


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def signer(home: Settings) -> Signer:
    return create_signer(home)


def written(home: Settings, signer: Signer | None, version: str = "v1", **files: bytes) -> Bundle:
    content = dict.fromkeys(REQUIRED_FILES, b"{}") | {name.replace("_", "."): data for name, data in files.items()}
    return write_bundle(
        home.models_dir, content, workload="w", version=version, workload_hash="0", data_window={}, signer=signer
    )


def test_a_signed_bundle_is_taken_and_its_id_is_that_of_an_unsigned_one(home: Settings, signer: Signer) -> None:
    signed, unsigned = written(home, signer), written(home, None, "v2")
    trust = Trust(frozenset({signer.public_key}))
    assert read_bundle(signed.path, trust=trust).manifest == signed.manifest
    assert signed.manifest.bundle_id == unsigned.manifest.bundle_id
    with pytest.raises(BundleError, match="is not signed, and DRIFTLINE_TRUSTED_KEYS takes signed bundles only"):
        read_bundle(unsigned.path, trust=trust)
    for bundle in (signed, unsigned):
        assert read_bundle(bundle.path, trust=Trust()).manifest == bundle.manifest


def test_the_signature_is_one_that_the_library_itself_verifies(home: Settings, signer: Signer) -> None:
    path = written(home, signer).path
    _, key, signature = (path / SIGNATURE).read_text().split()
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    public.verify(bytes.fromhex(signature), b"driftline manifest\n" + (path / MANIFEST).read_bytes())
    private = load_pem_private_key((home.keys_dir / "signing.pem").read_bytes(), None)
    assert private.public_key() == public


@pytest.mark.parametrize("place", [0, 100, -2])
def test_one_flipped_byte_of_the_manifest_is_refused_before_it_is_parsed(
    home: Settings, signer: Signer, place: int
) -> None:
    path = written(home, signer).path
    data = bytearray((path / MANIFEST).read_bytes())
    data[place] ^= 1
    (path / MANIFEST).write_bytes(bytes(data))
    with pytest.raises(BundleError, match="is not the one that key"):
        read_bundle(path, trust=Trust(frozenset({signer.public_key})))


def test_one_flipped_byte_of_a_file_is_refused_by_its_hash(home: Settings, signer: Signer) -> None:
    path = written(home, signer).path
    (path / "model.ubj").write_bytes(b"[]")
    with pytest.raises(BundleError, match="has changed"):
        read_bundle(path, trust=Trust(frozenset({signer.public_key})))


def test_a_file_and_its_hashes_changed_together_are_refused_by_the_signature(home: Settings, signer: Signer) -> None:
    path, forged = written(home, signer).path, written(home, None, "v2", model_ubj=b"other")
    manifest = json.loads((forged.path / MANIFEST).read_bytes()) | {"version": "v1"}
    (path / "model.ubj").write_bytes(b"other")
    (path / MANIFEST).write_text(json.dumps(manifest))
    assert read_bundle(path).files["model.ubj"] == b"other", "hashes alone are right"
    with pytest.raises(BundleError, match="is not the one that key"):
        read_bundle(path, trust=Trust(frozenset({signer.public_key})))


def test_another_key_is_refused(home: Settings, signer: Signer, tmp_path: Path) -> None:
    other = create_signer(Settings(home=tmp_path / "other"))
    path = written(home, other).path
    with pytest.raises(BundleError, match=f"signed by key {other.public_key[:16]}, which is not among"):
        read_bundle(path, trust=Trust(frozenset({signer.public_key})))
    line = (path / SIGNATURE).read_text().replace(other.public_key, signer.public_key)
    (path / SIGNATURE).write_text(line)  # says that it were the trusted one's
    with pytest.raises(BundleError, match="is not the one that key"):
        read_bundle(path, trust=Trust(frozenset({signer.public_key})))


def test_the_signed_manifest_of_another_version_is_refused(home: Settings, signer: Signer) -> None:
    path, other = written(home, signer).path, written(home, signer, "v2").path
    for name in (MANIFEST, SIGNATURE):
        shutil.copy(other / name, path / name)
    with pytest.raises(BundleError, match="says that it is w/v2"):
        read_bundle(path, trust=Trust(frozenset({signer.public_key})))
    shutil.copy(other / SIGNATURE, path / SIGNATURE)
    with pytest.raises(BundleError):
        read_bundle(path, trust=Trust(frozenset({signer.public_key})))


@pytest.mark.parametrize("text", ["", "ed25519", "ed25519 00 00\n", "rsa " + "0" * 64 + " " + "0" * 128 + "\n"])
def test_a_signature_that_is_none_is_refused(home: Settings, signer: Signer, text: str) -> None:
    path = written(home, signer).path
    (path / SIGNATURE).write_text(text)
    with pytest.raises(BundleError, match="is no signature"):
        read_bundle(path, trust=Trust(frozenset({signer.public_key})))


def test_a_bundle_cannot_bring_its_signature_as_a_file_of_its_own(home: Settings) -> None:
    with pytest.raises(BundleError, match="cannot hold"):
        written(home, None, manifest_sig=b"")


def test_a_bundle_of_before_the_key_can_be_signed_later(home: Settings, signer: Signer) -> None:
    path = written(home, None).path
    sign_bundle(read_bundle(path), signer)
    assert read_bundle(path, trust=Trust(frozenset({signer.public_key}))).path == path


def test_a_private_key_is_its_owners_alone_and_never_overwritten(home: Settings, signer: Signer) -> None:
    path = home.keys_dir / "signing.pem"
    before = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert home.keys_dir.stat().st_mode & 0o077 == 0
    with pytest.raises(BundleError, match="never overwritten"):
        create_signer(home)
    assert path.read_bytes() == before
    assert load_signer(home).public_key == signer.public_key  # type: ignore[union-attr]
    path.chmod(0o644)
    with pytest.raises(BundleError, match="may be read by others"):
        load_signer(home)
    path.chmod(0o600)
    path.write_bytes(b"no key")
    with pytest.raises(BundleError, match="is no private key"):
        load_signer(home)
    assert load_signer(Settings(home=home.home / "none")) is None


def test_trusted_keys_are_hex_or_files(home: Settings, signer: Signer, tmp_path: Path) -> None:
    file, other = home.keys_dir / "signing.pub", "ab" * 32
    trust = Trust.of(Settings(trusted_keys=f"{file}, {other}"))
    assert trust.keys == {signer.public_key, other}
    assert Trust.of(Settings()).keys == set()
    (tmp_path / "empty").write_text("")
    for wrong in (str(tmp_path / "gone"), "ab" * 31, str(tmp_path / "empty"), str(home.keys_dir / "signing.pem"), ","):
        with pytest.raises(SettingsError, match="DRIFTLINE_TRUSTED_KEYS"):
            Trust.of(Settings(trusted_keys=wrong))


def test_whoever_reads_a_bundle_says_whom_it_trusts(repository: Path) -> None:
    """``read_bundle(path)`` and ``Registry(folder, name)`` trust everybody: fine in a test, never in the product."""
    careless = []
    for folder in ("driftline", "offline", "producers", "stream_app"):
        for file in (repository / folder).rglob("*.py"):
            for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                    trusts = len(call.args) > 2 or any(keyword.arg == "trust" for keyword in call.keywords)
                    if call.func.id in ("read_bundle", "Registry") and not trusts:
                        careless.append(f"{file.relative_to(repository)}:{call.lineno}")
    assert careless == []
