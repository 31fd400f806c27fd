"""``driftline keys create | show | sign``: the key pair that signs this installation's bundles."""

from __future__ import annotations

import click

from offline.cli import _examples, _print_json, json_option, workload_option
from schemas.settings import Settings


@click.group()
def keys() -> None:
    """The key that signs model bundles; others trust its public half."""


@keys.command(epilog=_examples("driftline keys create", "export DRIFTLINE_TRUSTED_KEYS=.driftline/keys/signing.pub"))
@json_option
def create(as_json: bool) -> None:
    """Make a key pair below DRIFTLINE_HOME/keys and print its public key.

    The private key stays readable to its owner alone and is never overwritten. From now on new bundles are signed.
    Wherever DRIFTLINE_TRUSTED_KEYS is set, only bundles signed by one of its keys are used.
    """
    from schemas.signatures import create_signer

    settings = Settings.from_env()
    _print_key(settings, create_signer(settings).public_key, as_json)


@keys.command(epilog=_examples("driftline keys show"))
@json_option
def show(as_json: bool) -> None:
    """Print this installation's public key."""
    from offline.errors import OfflineError
    from schemas.signatures import load_signer

    settings = Settings.from_env()
    signer = load_signer(settings)
    if signer is None:
        raise OfflineError(f"no key in {settings.keys_dir}; run `driftline keys create` first")
    _print_key(settings, signer.public_key, as_json)


@keys.command(epilog=_examples("driftline keys sign v0001"))
@click.argument("version")
@workload_option
@json_option
def sign(version: str, name: str | None, as_json: bool) -> None:
    """Sign a version that was written before there was a key; its files and its id stay as they are."""
    from offline.errors import OfflineError
    from offline.registry import Registry
    from schemas.bundle import sign_bundle
    from schemas.signatures import Trust
    from schemas.workload import load_workload

    settings = Settings.from_env()
    registry = Registry(settings.models_dir, load_workload(name or settings.workload).name, Trust(), settings)
    bundle, signer = registry.load(version), registry.signer
    if signer is None:
        raise OfflineError(f"no key in {settings.keys_dir}; run `driftline keys create` first")
    sign_bundle(bundle, signer)
    if as_json:
        _print_json({"version": bundle.manifest.version, "public_key": signer.public_key})
    else:
        click.echo(f"{bundle.manifest.version} is signed by {signer.public_key}")


def _print_key(settings: Settings, public_key: str, as_json: bool) -> None:
    from schemas.signatures import PUBLIC_KEY

    if as_json:
        _print_json({"public_key": public_key, "file": str(settings.keys_dir / PUBLIC_KEY)})
    else:
        click.echo(public_key)
