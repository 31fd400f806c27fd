"""The folder of model versions: immutable once written, with aliases as files.

``<home>/models/<workload>/v0001/...`` and ``<home>/models/<workload>/champion`` (one line: a version). How a version is
written and checked is the business of `schemas.bundle`.
"""

from __future__ import annotations

import re
from pathlib import Path

from offline.errors import RegistryError, UnknownVersionError
from schemas.bundle import Bundle, bundle_dir, list_bundles, read_bundle
from schemas.lake import write_atomic
from schemas.settings import Settings
from schemas.signatures import Signer, Trust, load_signer

ALIASES = ("champion", "challenger")
_VERSION = re.compile(r"v([0-9]{4,9})", re.ASCII)


class Registry:
    """Versions and aliases of one workload.

    Parameters
    ----------
    models_dir
        ``<home>/models``.
    workload_name
        Name of the workload.
    trust
        Whose bundles are taken; None takes all.
    settings
        Of the installation whose key signs what is written; None leaves it unsigned.
    """

    def __init__(
        self, models_dir: Path, workload_name: str, trust: Trust | None = None, settings: Settings | None = None
    ) -> None:
        self.models_dir = models_dir
        self.workload_name = workload_name
        self.trust = trust
        self._settings = settings

    @classmethod
    def of(cls, settings: Settings, workload_name: str) -> Registry:
        """The registry of an installation, with its own key and those it trusts.

        Raises
        ------
        SettingsError
            When a trusted key cannot be read.
        """
        return cls(settings.models_dir, workload_name, Trust.of(settings), settings)

    @property
    def signer(self) -> Signer | None:
        """Who signs what is written, None when there is no key; only writers need to be able to read it."""
        return None if self._settings is None else load_signer(self._settings)

    def versions(self) -> tuple[str, ...]:
        """Versions, oldest first."""
        return tuple(sorted(list_bundles(self.models_dir, self.workload_name), key=_number))

    def next_version(self) -> str:
        """The version after the newest: v0001, v0002, ..."""
        return f"v{max([0, *map(_number, self.versions())]) + 1:04d}"

    def resolve(self, version: str) -> str:
        """The version that a version, an alias or "latest" stands for.

        Raises
        ------
        UnknownVersionError
            When there is none.
        """
        there = self.versions()
        named = self.alias(version) if version in ALIASES else version
        if version == "latest" and there:
            named = there[-1]
        if named not in there:
            raise UnknownVersionError(version, there)
        return str(named)

    def load(self, version: str) -> Bundle:
        """The verified bundle of a version or alias."""
        return read_bundle(bundle_dir(self.models_dir, self.workload_name, self.resolve(version)), trust=self.trust)

    def alias(self, name: str) -> str | None:
        """The version an alias points to; None when it is not set."""
        try:
            return self._alias_file(name).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    def set_alias(self, name: str, version: str) -> None:
        """Point an alias to a version, at once or not at all."""
        write_atomic(self._alias_file(name), (self.resolve(version) + "\n").encode())

    def _alias_file(self, name: str) -> Path:
        if name not in ALIASES:
            raise RegistryError(self.models_dir, f"{name!r} is no alias; there are {', '.join(ALIASES)}")
        return self.models_dir / self.workload_name / name


def _number(version: str) -> int:
    match = _VERSION.fullmatch(version)
    return int(match[1]) if match else 0
