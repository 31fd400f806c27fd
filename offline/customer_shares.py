"""Shares of the customers, for readers side by side: by partitions of the lake where it has several, and by hash.

A customer's events lie in one partition of each topic, the same in all. A reader of a share by hash reads whole
partitions all the same: which event is a repeated one follows from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from offline.errors import OfflineError
from schemas.lake import Lake
from schemas.packed import pack_array
from schemas.partition import partitions_of
from schemas.workload import Workload
from stream_app.columns import Columns


class AwayFromHomeError(OfflineError):
    """A customer's events lie in another partition than the key says: the lake cannot be shared by partitions."""

    def __init__(self, path: Path, n_partitions: int) -> None:
        super().__init__(f"lake {path}: holds a customer who belongs to another of {n_partitions} partitions")


@dataclass(frozen=True)
class Share:
    """Customers of some partitions, and of them those of one bucket.

    Parameters
    ----------
    partitions
        Partitions to read; None reads all.
    n_partitions
        Of the topics.
    bucket, n_buckets
        Of the customers' hashes.
    """

    partitions: tuple[int, ...] | None = None
    n_partitions: int = 1
    bucket: int = 0
    n_buckets: int = 1

    def holds(self, partition: int) -> bool:
        """Whether a partition of the lake is read."""
        return self.partitions is None or partition in self.partitions

    def take(self, columns: Columns, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those rows whose customers belong to the bucket."""
        if self.n_buckets == 1:
            return rows
        hashes = columns.key_hash[rows].view(np.uint64) >> np.uint64(33)
        mine: NDArray[np.int64] = rows[hashes % np.uint64(self.n_buckets) == self.bucket]
        return mine


EVERYONE = Share()


def shares_by_partition(lake: Lake, workload: Workload, n_partitions: int, n: int) -> list[Share]:
    """About ``n`` shares or a few more: each of one partition, or of a bucket of it where there are fewer."""
    there = {one.partition for topic in workload.topics for one in lake.slices(topic.name)}
    if len(there) < 2 or max(there) >= n_partitions:
        return shares_by_hash(n)
    n_buckets = -(-n // len(there))
    return [Share((p,), n_partitions, bucket, n_buckets) for p in sorted(there) for bucket in range(n_buckets)]


def shares_by_hash(n: int) -> list[Share]:
    """``n`` shares, each of which reads the whole lake."""
    return [Share(bucket=bucket, n_buckets=n) for bucket in range(n)]


def check_at_home(table: pa.Table, partition: int, n_partitions: int, path: Path) -> None:
    """Make sure that the customers of a lake table belong to its partition.

    Raises
    ------
    AwayFromHomeError
        When one does not.
    """
    for piece in table.column("customer_id").chunks:
        if (partitions_of(pack_array(piece.dictionary), n_partitions) != partition).any():
            raise AwayFromHomeError(path, n_partitions)
