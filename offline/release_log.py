"""What was released from here, kept beside the versions: readable without a broker, and with the gates overruled.

One line of JSON for each release in ``<models>/<workload>/releases.jsonl``. What scores is what the topic says; this is
for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offline.errors import RegistryError
from offline.registry import Registry
from schemas.lake import write_atomic


def append_release(registry: Registry, record: Mapping[str, Any]) -> None:
    """Note a release that is on its topic: its record, and the names of the gates that were ``forced``."""
    path = _path(registry)
    before = path.read_bytes() if path.exists() else b""
    line = json.dumps(dict(record), sort_keys=True, separators=(",", ":"))
    write_atomic(path, before + line.encode() + b"\n")


def load_releases(registry: Registry) -> list[dict[str, Any]]:
    """All releases in the order in which they were made.

    Raises
    ------
    RegistryError
        When a line is no release.
    """
    path = _path(registry)
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            record["version"], record["activate_day"], record["status"], record["event_id"]
        except (ValueError, KeyError, TypeError) as cause:
            raise RegistryError(path, f"line {number} is no release") from cause
        found.append(record)
    return found


def _path(registry: Registry) -> Path:
    return registry.models_dir / registry.workload_name / "releases.jsonl"
