"""Scores into a Parquet file: there whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from offline.scoring.scores import ScoredAs, score_schema
from schemas.lake import atomic_file

ROW_GROUP = 131_072


class ScoreSink(Protocol):
    """Where tables of scores go."""

    def write(self, table: pa.Table) -> None:
        """Take some more scores."""
        ...


@contextmanager
def create_score_file(path: Path, shared: ScoredAs, bundle_id: str) -> Iterator[ScoreSink]:
    """A file to write scores to; it appears when all are written, and an error leaves the one of before."""
    about = {"model_version": shared.version, "bundle_id": bundle_id, "threshold": repr(shared.threshold)}
    schema = score_schema(shared).with_metadata(about)
    repeated = ["band", "model_version", "workload_hash", "as_of"]
    with (
        atomic_file(path) as out,
        pq.ParquetWriter(out, schema, compression="zstd", use_dictionary=repeated) as writer,
    ):
        gathering = _Gathering(writer, schema)
        yield gathering
        gathering.write_group()


class _Gathering:
    """Makes large row groups of small tables."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer, self._schema = writer, schema
        self._waiting: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self.write_group()

    def write_group(self) -> None:
        if self._waiting:
            whole = pa.concat_tables(self._waiting).replace_schema_metadata(self._schema.metadata)
            self._writer.write_table(whole, row_group_size=len(whole))
            self._waiting = []
