"""A checkpoint as records of the state topic; the way back is `stream_app.restore`.

Each record begins with the checkpoint's id: the incarnation (where the state topic ended when this worker restored)
and a number. The marker comes last and says up to which number each incarnation is whole: a reader applies those
records, also when compaction has left of their own markers nothing, and passes over what a killed worker left without
one. Dirty rows go out in blocks of 32 neighbours, compressed, when at least half of a block is dirty, else one by one.

Where the broker does not shut other writers out, a worker claims the partition by a record before it reads: markers of
earlier incarnations that come later do not count.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import cramjam
import numpy as np
import numpy.typing as npt

from stream_app.duplicates import CHUNK, WINDOW
from stream_app.outputs import OutputBlock, pack_blocks
from stream_app.partition_task import PartitionTask
from stream_app.state import PartitionState

BLOCK = 32
LONGEST_JOURNAL = 1 << 30
MARKER, CLAIM = b"m", b"c"
ID = struct.Struct("<QI")
_LENGTH = struct.Struct("<I")

Int64s = npt.NDArray[np.int64]
Record = tuple[bytes, bytes]


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
        head = ID.pack(self.incarnation, self.number)
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


def claim(incarnation: int) -> Record:
    """The record by which an incarnation begins: its key is its own, so that it stays for as long as others' rows."""
    return CLAIM + b"%d" % incarnation, ID.pack(incarnation, 0)


def _pack(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + bytes(cramjam.lz4.compress_block(data, store_size=False))


def unpack(data: bytes, longest: int) -> bytes:
    """The way back from `_pack`; ValueError where more than ``longest`` bytes would come out."""
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
    return json.loads(head), np.frombuffer(unpack(packed, LONGEST_JOURNAL), "<i4").reshape(-1, 2).astype(np.int64)
