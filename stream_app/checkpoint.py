"""A checkpoint as records of the state topic, and the way back.

Each record begins with the checkpoint's id: the incarnation (where the state topic ended when this worker restored)
and a number. The marker comes last and says up to which number each incarnation is whole: a reader applies those
records, also when compaction has left of their own markers nothing, and passes over what a killed worker left without
one. Dirty rows go out in blocks of 32 neighbours, compressed, when at least half of a block is dirty, else one by one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cramjam
import numpy as np
import numpy.typing as npt

from schemas.errors import DriftlineError
from stream_app import faults
from stream_app.duplicates import CHUNK, WINDOW
from stream_app.errors import RestoreError
from stream_app.outputs import OutputBlock, pack_blocks, unpack_blocks
from stream_app.partition_task import Accounting, PartitionTask
from stream_app.state import PartitionState

BLOCK = 32
LONGEST_JOURNAL = 1 << 30
MARKER = b"m"
_ID = struct.Struct("<QI")
_LENGTH = struct.Struct("<I")

Int64s = npt.NDArray[np.int64]
Record = tuple[bytes, bytes]
_Named = tuple[tuple[int, int], bytes, bytes]  # (incarnation, number), key, payload


@dataclass(eq=False)
class Checkpoint:
    """What a partition was at one moment, cut loose from it.

    ``outputs`` are published once the records are safe; ``journal`` is one record of the journal topic.
    """

    number: int
    incarnation: int
    blocks: dict[int, npt.NDArray[np.uint8]]
    rows: dict[int, bytes]
    chunks: dict[tuple[int, int], Int64s]
    outputs: list[OutputBlock]
    marker: dict[str, Any]
    journal: bytes

    def encode(self, with_outputs: bool = True) -> list[Record]:
        """Records of the state topic in order, the marker last. Compresses: run it off the event loop.

        Parameters
        ----------
        with_outputs
            Whether a restore must be able to publish the outputs again.
        """
        head = _ID.pack(self.incarnation, self.number)
        records = [(b"b%d" % block, head + _pack(rows.tobytes())) for block, rows in self.blocks.items()]
        records += [(b"r%d" % slot, head + row) for slot, row in self.rows.items()]
        for (source, first), hashes in self.chunks.items():
            place = first // CHUNK % (WINDOW // CHUNK + 2)
            records.append((b"d%d/%d" % (source, place), head + struct.pack("<q", first) + _pack(hashes.tobytes())))
        packed = pack_blocks(self.outputs) if with_outputs else []
        records += [(b"o%d" % i, head + chunk) for i, chunk in enumerate(packed)]
        marker = self.marker | {"n_records": len(records)}
        records.append((MARKER, head + json.dumps(marker, separators=(",", ":")).encode()))
        return records


def _pack(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + bytes(cramjam.lz4.compress_block(data, store_size=False))


def _unpack(data: bytes, longest: int) -> bytes:
    (length,) = _LENGTH.unpack_from(data)
    if length > longest:
        raise ValueError(f"{length} bytes where at most {longest} are")
    return bytes(cramjam.lz4.decompress_block(data[_LENGTH.size :], output_len=length))


@dataclass
class Restored:
    """What a state topic held: the newest marker's content and the outputs to publish again.

    ``committed`` says for every incarnation of which records are left how many of its checkpoints are whole.
    """

    marker: dict[str, Any] | None
    outputs: list[OutputBlock]
    committed: dict[int, int]


class Checkpointer:
    """Takes the checkpoints of one partition, one after the other.

    Parameters
    ----------
    task
        Of the partition.
    incarnation
        No other worker of this partition had it before.
    restored
        What ``task`` was restored from; None when it is new.
    """

    def __init__(self, task: PartitionTask, incarnation: int, restored: Restored | None = None) -> None:
        self.task, self.incarnation, self.number = task, incarnation, 0
        marker = restored.marker if restored is not None else None
        self.summary_seq = int(marker["summary_seq"]) if marker is not None else 0
        self._committed = dict(restored.committed) if restored is not None else {}
        self.n_bytes_dirty = 0
        self._positions = list(task.positions)
        self._clock_position = task.clock_position

    def take(self) -> Checkpoint:
        """Cut the changes since the last checkpoint loose. Call between batches."""
        task = self.task
        self._summarise()
        blocks, rows = self._dirty_rows(task.state)
        self.number += 1
        checkpoint = Checkpoint(
            self.number,
            self.incarnation,
            blocks,
            rows,
            self._chunks(),
            task.outputs.take(),
            self._marker(),
            self._journal(),
        )
        self._positions, self._clock_position = list(task.positions), task.clock_position
        task.runs, task.is_touched, task.oldest, task.n_swept = [], False, None, 0
        return checkpoint

    def _summarise(self) -> None:
        task = self.task
        record = task.summary.take()
        if record is None:
            return
        name = f"{task.partition}-{self.summary_seq}"
        record |= {"event_id": name, "partition": task.partition, "seq": self.summary_seq}
        topic = task.scorer.prefix + "summaries"
        task.outputs.add(topic, str(task.partition).encode(), task.codec.encode("summary", record))
        self.summary_seq += 1

    def _dirty_rows(self, state: PartitionState) -> tuple[dict[int, npt.NDArray[np.uint8]], dict[int, bytes]]:
        slots = np.flatnonzero(state.dirty)
        self.n_bytes_dirty += len(slots) * state.row_bytes
        state.dirty[slots] = 0
        numbers, counts = np.unique(slots // BLOCK, return_counts=True)
        full = numbers[counts * 2 >= BLOCK]
        rows = state.s8.reshape(-1, state.row_bytes)
        copies = rows.reshape(-1, BLOCK, state.row_bytes)[full]
        single = slots[~np.isin(slots // BLOCK, full)]
        data = rows[single]
        return dict(zip(full.tolist(), copies, strict=True)), {
            slot: row.tobytes() for slot, row in zip(single.tolist(), data, strict=True)
        }

    def _chunks(self) -> dict[tuple[int, int], Int64s]:
        found = {}
        for source, window in enumerate(self.task.windows):
            since, until = self._positions[source], self.task.positions[source]
            if window is not None and until > since:
                for first, hashes in window.chunks(since, until).items():
                    found[source, first] = hashes
        return found

    def _marker(self) -> dict[str, Any]:
        task = self.task
        versions = task.scorer.schedule
        return {
            "workload": task.plan.workload.hash,
            "committed": [*self._committed.items(), (self.incarnation, self.number)],
            "positions": list(task.positions),
            "clock_position": task.clock_position,
            "clock_day": task.state.clock_day,
            "is_sweeping": task.is_sweeping,
            "n_slots": task.state.n_slots,
            "accounting": vars(task.accounting) | {"refused": dict(task.accounting.refused)},
            "alerts": dict(vars(task.scorer.alerts)),
            "summary": task.summary.snapshot(),
            "summary_seq": self.summary_seq,
            "model_version": versions.version_at(task.state.clock_day),
        }

    def _journal(self) -> bytes:
        head = {
            "from": self._positions, "to": self.task.positions,
            "clock_from": self._clock_position, "clock_to": self.task.clock_position,
        }  # fmt: skip
        runs = np.concatenate([np.zeros((0, 2), np.int64), *self.task.runs]).astype("<i4")
        return json.dumps(head, separators=(",", ":")).encode() + b"\n" + _pack(runs.tobytes())


def decode_journal(value: bytes) -> tuple[dict[str, Any], Int64s]:
    """(positions from and to, runs (n, 2) of source and count; the clock is the source after the last) of a journal
    record.
    """
    head, _, packed = value.partition(b"\n")
    return json.loads(head), np.frombuffer(_unpack(packed, LONGEST_JOURNAL), "<i4").reshape(-1, 2).astype(np.int64)


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
            reader.take(_ID.unpack_from(value), key, value[_ID.size :])
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
    earlier incarnation than the newest is passed over.
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
        if key != MARKER:
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
            packed = np.frombuffer(_unpack(payload, BLOCK * state.row_bytes), np.uint8)
            state.load(_below(n_slots, int(number) * BLOCK) + np.arange(BLOCK), packed.reshape(BLOCK, state.row_bytes))
        elif kind == b"r":
            row = np.frombuffer(payload, np.uint8).reshape(1, state.row_bytes)
            state.load(np.array([_below(n_slots, int(number))]), row)
        elif kind == b"d":
            (first,) = struct.unpack_from("<q", payload)
            hashes = np.frombuffer(_unpack(payload[8:], CHUNK * 8), np.int64)
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
