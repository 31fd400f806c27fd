"""Ed25519 signatures on manifests: who wrote a bundle, and whose bundles are taken.

The only module that touches cryptography. The private key is a file below ``<home>/keys`` that only its owner may read
and that is never written twice; whose bundles are taken is a setting. What a manifest says is told in `schemas.bundle`.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import BundleError, SettingsError
from schemas.settings import PREFIX, Settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE: Final = "manifest.sig"
PRIVATE_KEY: Final = "signing.pem"
PUBLIC_KEY: Final = "signing.pub"
_SETTING: Final = PREFIX + "TRUSTED_KEYS"
_PURPOSE: Final = b"driftline manifest\n"  # a signature made for anything else is none of a manifest
_HEX_KEY: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SIGNATURE: Final = re.compile(rb"ed25519 ([0-9a-f]{64}) ([0-9a-f]{128})\n", re.ASCII)


@dataclass(frozen=True)
class Trust:
    """Whose bundles are taken.

    Parameters
    ----------
    keys
        Public keys in hex; empty takes every bundle whose hashes are right, signed or not.
    """

    keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> Trust:
        """What ``DRIFTLINE_TRUSTED_KEYS`` says: public keys in hex or files that hold one, separated by commas.

        Raises
        ------
        SettingsError
            When an entry is neither.
        """
        entries = [entry.strip() for entry in settings.trusted_keys.split(",")]
        return cls(frozenset(_public_key(entry) for entry in entries)) if settings.trusted_keys else cls()

    def check(self, path: Path, manifest: bytes, signature: bytes | None) -> None:
        """Refuse a manifest that no trusted key has signed.

        Parameters
        ----------
        path
            Folder of the bundle, for the message.
        manifest, signature
            The very bytes that will be used; None when there is no signature.

        Raises
        ------
        BundleError
            When keys are trusted and none of them has signed these bytes.
        """
        if not self.keys:
            return
        if signature is None:
            raise BundleError(path, f"is not signed, and {_SETTING} takes signed bundles only")
        match = _SIGNATURE.fullmatch(signature)
        if match is None:
            raise BundleError(path / SIGNATURE, "is no signature")
        key, signed = match[1].decode(), bytes.fromhex(match[2].decode())
        if key not in self.keys:
            raise BundleError(path, f"is signed by key {key[:16]}, which is not among {_SETTING}")
        if not _is_signed_by(key, manifest, signed):
            raise BundleError(path, f"has a manifest that is not the one that key {key[:16]} signed")


class Signer:
    """Signs manifests with one private key."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key

    @property
    def public_key(self) -> str:
        """The public key in hex."""
        return self._private_key.public_key().public_bytes_raw().hex()

    def sign(self, manifest: bytes) -> bytes:
        """Content of ``manifest.sig``: one line with the public key and the signature."""
        return f"ed25519 {self.public_key} {self._private_key.sign(_PURPOSE + manifest).hex()}\n".encode()


def create_signer(settings: Settings) -> Signer:
    """Make a key pair below ``<home>/keys``; an existing key is never overwritten.

    Raises
    ------
    BundleError
        When there is a key already.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    signer = Signer(private_key := Ed25519PrivateKey.generate())
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    settings.keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_new(settings.keys_dir / PRIVATE_KEY, pem, 0o600)
    public = settings.keys_dir / PUBLIC_KEY
    public.unlink(missing_ok=True)  # without its private key it was worth nothing
    _write_new(public, f"{signer.public_key}\n".encode(), 0o644)
    return signer


def load_signer(settings: Settings) -> Signer | None:
    """The installation's signer; None when it has no key.

    Raises
    ------
    BundleError
        When the key file is no Ed25519 key, or others may read it.
    """
    path = settings.keys_dir / PRIVATE_KEY
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as cause:
        raise BundleError(path, f"cannot be read: {cause.strerror}") from cause
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BundleError(path, "may be read by others; run `chmod 600` on it, or make a new key")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as cause:
        raise BundleError(path, "is no private key") from cause
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(path, "is no Ed25519 key")
    return Signer(key)


def _is_signed_by(key: str, manifest: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, _PURPOSE + manifest)
    except (InvalidSignature, ValueError):
        return False
    return True


def _public_key(entry: str) -> str:
    if _HEX_KEY.fullmatch(entry):
        return entry
    try:
        text = Path(entry).read_text(encoding="ascii").strip() if entry else ""
    except (OSError, ValueError) as cause:
        raise SettingsError(_SETTING, f"{entry!r} is neither a public key in hex nor a file that holds one") from cause
    if not _HEX_KEY.fullmatch(text):
        raise SettingsError(_SETTING, f"{entry!r} holds no public key: 64 hex digits on one line")
    return text


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as cause:
        raise BundleError(path, "is there already; a key is never overwritten") from cause
    with os.fdopen(opened, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def signed_by(path: Path) -> str:
    """The public key (hex) that a bundle's signature names, unchecked; "" when there is none."""
    try:
        match = _SIGNATURE.fullmatch((path / SIGNATURE).read_bytes())
    except OSError:
        return ""
    return match[1].decode() if match else ""
