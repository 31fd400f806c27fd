"""Compile the kernels into the cache of this environment, once, so that no worker starts by compiling.

Runs the encoder, the heart and a lake on one customer of the default workload; kernels are the same for every workload.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from offline.history import read_stretches
from schemas.batch_codec import BatchEncoder
from schemas.events import EventBatch
from schemas.lake import Lake, LakeSlice
from schemas.lake_table import table_of
from schemas.workload import Workload, load_workload
from stream_app.plan import Plan
from stream_app.recording import tick_rows

DAY_MS = 86_400_000
FIRST_DAY = 20_000


def main() -> None:
    """Encode and record one contract; two ticks."""
    workload = load_workload("subscription_churn")
    billing = next(topic for topic in workload.topics if topic.name == "billing")
    moment = np.array([FIRST_DAY * DAY_MS], np.int64)
    batch = EventBatch(
        topic="billing",
        event_id=np.array(["e1"], object),
        customer_id=np.array(["C1"], object),
        event_time_ms=moment,
        known_time_ms=moment,
        kind=np.array([[kind.name for kind in billing.kinds].index("subscribe")]),
        values={"price": np.array([10.0]), "plan": np.array(["plus"], object)},
    )
    rows = tick_rows(Plan.from_workload(workload), [batch], [FIRST_DAY + 20, FIRST_DAY + 30], event_sample=1.0)
    BatchEncoder(workload).encode(batch)
    assert len(rows) >= 2
    tickets = replace(batch, topic="support", values={"sentiment": np.array([0.5]), "severity": np.array([1.0])})
    with tempfile.TemporaryDirectory() as folder:
        assert read_back(Lake(Path(folder)), workload, [batch, tickets]) == 2


def read_back(lake: Lake, workload: Workload, batches: list[EventBatch]) -> int:
    """Put batches into a lake and count what is read of them."""
    for batch in batches:
        path = lake.file(batch.topic, FIRST_DAY, 0, 0, 0)
        path.parent.mkdir(parents=True)
        pq.write_table(table_of(workload.topic(batch.topic), batch, 0, np.zeros(1, np.int64)), path)
        lake.commit(LakeSlice(batch.topic, 0, 0, 0, (f"{path.parent.name}/{path.name}",), 1))
    return sum(map(len, read_stretches(lake, workload)))


if __name__ == "__main__":
    main()
