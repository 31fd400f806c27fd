"""Compile the kernels into the cache of this environment, once, so that no worker starts by compiling.

Runs the encoder and the heart on one customer of the default workload; kernels are the same for every workload.
"""

from __future__ import annotations

import numpy as np

from schemas.batch_codec import BatchEncoder
from schemas.events import EventBatch
from schemas.workload import load_workload
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


if __name__ == "__main__":
    main()
