"""What the partition must have published, as lines that can be sorted, hashed and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from offline.verifier.decisions import ROW_KINDS, TICK
from offline.verifier.events import Record
from schemas.workload import Alert, Workload

LETTER_BYTES = 4096  # of a refused record's key and value
NOT_COMPARED = ("detail", "reasons")  # words for a reader; reasons are compared by `reasons`
Line = tuple[str, str]  # name and canonical text


def line_of(name: str, content: Mapping[str, Any]) -> Line:
    """A name and the one text of a content."""
    kept = {key: value for key, value in content.items() if key not in NOT_COMPARED}
    return name, json.dumps(kept, sort_keys=True, separators=(",", ":"), default=bytes.hex)


def output_line(key: bytes | None, record: Mapping[str, Any]) -> Line:
    """The line of an output record under its key; its name is the event id."""
    return line_of(str(record["event_id"]), {**record, "record_key": key})


@dataclass(frozen=True, eq=False)
class ExpectedAlert:
    """An alert, and what its reasons follow from: the feature row and what each feature adds to the score."""

    key: bytes
    rule: Alert
    episode: int
    status: str
    row_kind: int
    threshold: float
    content: Mapping[str, Any]
    x: npt.NDArray[np.float32]
    contributions: npt.NDArray[np.float64] | None

    @property
    def event_id(self) -> str:
        """Names the record."""
        return f"{self.rule.name}/{self.key.decode()}/{self.episode}:{self.status}"

    def line(self) -> Line:
        """The line of the record."""
        record = {
            **self.content, "event_id": self.event_id, "alert_id": self.event_id.removesuffix(f":{self.status}"),
            "customer_id": self.key.decode(), "rule": self.rule.name, "episode": self.episode, "status": self.status,
            "row_kind": ROW_KINDS[self.row_kind], "threshold": float(np.float32(self.threshold)),
        }  # fmt: skip
        return output_line(self.key, record)


class ExpectedOutputs:
    """Scores, alerts and dead letters of one partition."""

    def __init__(self, prefix: str, workload: Workload, partition: int) -> None:
        self.prefix, self.workload, self.partition = prefix, workload, partition
        self.scores: list[Line] = []
        self.latest: dict[str, str] = {}  # customer -> line of the newest score
        self.alerts: list[ExpectedAlert] = []
        self.dead_letters: list[Line] = []

    def add_score(
        self,
        key: bytes,
        as_of_ms: int,
        row_kind: int,
        stamps: tuple[int, ...],
        x: npt.NDArray[np.float32],
        content: Mapping[str, Any],
    ) -> None:
        """A score that says something new; events of one moment differ by how much was applied before."""
        customer = key.decode()
        n_applied = "" if row_kind == TICK else f".{sum(stamp + 1 for stamp in stamps)}"
        record = {
            **content, "event_id": f"{customer}@{as_of_ms}/{row_kind}{n_applied}", "customer_id": customer,
            "as_of_ms": as_of_ms, "row_kind": ROW_KINDS[row_kind], "workload_hash": self.workload.hash[:16],
            "feature_hash": feature_hash(x), "stamps": stamps,
        }  # fmt: skip
        line = output_line(key, record)
        self.scores.append(line)
        self.latest[customer] = line[1]

    def add_alert(self, alert: ExpectedAlert) -> None:
        """An alert that opens or closes."""
        self.alerts.append(alert)

    def add_dead_letter(self, topic: str, refused: Record, reason: str) -> None:
        """A refused record of a source, its bytes cut."""
        name, value, key = self.prefix + topic, refused.value or b"", refused.key
        record = {
            "event_id": f"{name}/{self.partition}/{refused.offset}", "topic": name, "partition": self.partition,
            "offset": refused.offset, "key": None if key is None else key[:LETTER_BYTES], "value": value[:LETTER_BYTES],
            "n_bytes": len(value), "reason": reason, "seen_ms": refused.timestamp_ms,
        }  # fmt: skip
        self.dead_letters.append(output_line(f"{name}/{self.partition}".encode(), record))


def feature_hash(x: npt.NDArray[np.float32]) -> int:
    """FNV-1a over the 32-bit words of a feature row, signed."""
    h = 0xCBF29CE484222325
    for word in x.view(np.uint32).tolist():
        h = (h ^ word) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h - (1 << 64) if h >> 63 else h
