"""The way back from the records of a state topic to a task.

What counts is what a marker says is whole: see `stream_app.checkpoint`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from schemas.errors import DriftlineError
from stream_app import faults
from stream_app.accounting import Accounting
from stream_app.checkpoint import BLOCK, CLAIM, ID, MARKER, Int64s, Record, Restored, unpack
from stream_app.duplicates import CHUNK
from stream_app.errors import RestoreError
from stream_app.outputs import unpack_blocks
from stream_app.partition_task import PartitionTask
from stream_app.state import PartitionState

_Named = tuple[tuple[int, int], bytes, bytes]  # (incarnation, number), key, payload


def restore(task: PartitionTask, records: Iterable[Record], topic: str) -> Restored:
    """Rebuild ``task`` from the records of its state topic, in offset order.

    Raises
    ------
    RestoreError
        When a record is missing or cannot be read, or the state belongs to another workload.
    """
    reader = _Reader(task.state, task.plan.workload.hash)
    try:
        for i, (key, value) in enumerate(records):
            if i == 1:
                faults.reach("mid_restore")
            reader.take(ID.unpack_from(value), key, value[ID.size :])
        reader.finish()
        task.state.loaded()
        if reader.marker is not None:
            _resume(task, reader.marker, reader.chunks)
        return Restored(reader.marker, unpack_blocks(reader.outputs()), reader.committed())
    except DriftlineError:
        raise
    except Exception as cause:  # damaged bytes can fail anywhere, in ways of the libraries that read them
        raise RestoreError(topic, task.partition, f"a state record cannot be read ({cause!r})") from cause


class _Reader:
    """Holds records back until a marker says which of them count.

    A marker's own records wait for the next one, too: a worker that lost its partition and did not know it yet may
    have written behind its successor's back. The successor's marker does not name that checkpoint, and a marker of an
    earlier incarnation than the newest that wrote or claimed the partition is passed over.
    """

    def __init__(self, state: PartitionState, workload_hash: str) -> None:
        self.state, self.workload_hash = state, workload_hash
        self.marker: dict[str, Any] | None = None
        self.chunks: dict[tuple[int, int], Int64s] = {}
        self._newest = 0
        self._own: list[_Named] = []
        self._waiting: list[_Named] = []
        self._seen: set[int] = set()
        self._outputs: dict[int, bytes] = {}

    def take(self, name: tuple[int, int], key: bytes, payload: bytes) -> None:
        """Take the next record; a marker applies what waits."""
        self._seen.add(name[0])
        if key[:1] == CLAIM:
            self._newest = max(self._newest, name[0])
        elif key != MARKER:
            self._waiting.append((name, key, payload))
        elif name[0] >= self._newest:
            self._newest, self.marker = name[0], json.loads(payload)
            if self.marker["workload"] != self.workload_hash:
                raise ValueError("it belongs to another version of the workload")
            committed = dict(self.marker["committed"])
            whole = [record for record in self._own + self._waiting if record[0][1] <= committed.get(record[0][0], 0)]
            self._own = [record for record in whole if record[0] == name]
            self._waiting = [
                record for record in self._waiting if record[0][0] > name[0]
            ]  # a successor's wait for its own
            for record in whole:
                if record[0] != name:
                    self._apply(*record[1:])

    def finish(self) -> None:
        """Apply the newest checkpoint, of which nothing may be missing."""
        n = len({key for _, key, _ in self._own})  # a producer that had no answer may have sent a batch twice
        if self.marker is not None and n != self.marker["n_records"]:
            raise ValueError(f"{n} of {self.marker['n_records']} records of the newest checkpoint are there")
        self._outputs = {}
        for _, key, payload in self._own:
            self._apply(key, payload)

    def _apply(self, key: bytes, payload: bytes) -> None:
        state, kind, number = self.state, key[:1], key[1:]
        n_slots = int(self.marker["n_slots"]) if self.marker is not None else 0
        if kind == b"b":
            packed = np.frombuffer(unpack(payload, BLOCK * state.row_bytes), np.uint8)
            state.load(_below(n_slots, int(number) * BLOCK) + np.arange(BLOCK), packed.reshape(BLOCK, state.row_bytes))
        elif kind == b"r":
            row = np.frombuffer(payload, np.uint8).reshape(1, state.row_bytes)
            state.load(np.array([_below(n_slots, int(number))]), row)
        elif kind == b"d":
            (first,) = struct.unpack_from("<q", payload)
            hashes = np.frombuffer(unpack(payload[8:], CHUNK * 8), np.int64)
            self.chunks[int(number.partition(b"/")[0]), first] = hashes
        else:
            self._outputs[int(number)] = payload

    def outputs(self) -> list[bytes]:
        """Packed outputs of the newest checkpoint."""
        return [self._outputs[i] for i in sorted(self._outputs)]

    def committed(self) -> dict[int, int]:
        """Whole checkpoints of every incarnation of which the topic still holds something."""
        committed = {} if self.marker is None else dict(self.marker["committed"])
        return {incarnation: n for incarnation, n in committed.items() if incarnation in self._seen}


def _below(n_slots: int, slot: int) -> int:
    if not 0 <= slot < n_slots:
        raise ValueError(f"slot {slot} of {n_slots}")
    return slot


def _resume(task: PartitionTask, marker: dict[str, Any], chunks: dict[tuple[int, int], Int64s]) -> None:
    task.positions = list(marker["positions"])
    task.clock_position = marker["clock_position"]
    task.fetched, task.clock_fetched = list(task.positions), task.clock_position
    task.accounting = Accounting(**marker["accounting"])
    task.scorer.alerts.__dict__.update(marker["alerts"])
    task.summary.restore(marker["summary"])
    task.state.set_slots(marker["n_slots"])
    task.state.set_clock(marker["clock_day"])
    if marker["is_sweeping"]:
        task.resume_sweep()
    for source, window in enumerate(task.windows):
        if window is not None:
            mine = {first: hashes for (s, first), hashes in chunks.items() if s == source}
            window.load(mine, task.positions[source])
