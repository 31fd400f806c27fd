"""When a partition's next checkpoint is due: at its interval, and at once when an alert at an event waits for it or all
is caught up with.
"""

from __future__ import annotations

import time

import pytest

from stream_app import opcodes as op
from stream_app.checkpoint import Checkpointer
from stream_app.owned import ALERT_S, Owned
from stream_app.plan import Plan
from tests.fakes import moody
from tests.streams import Driver, Logs, new_task, random_events
from tests.workloads import named_workload


def _owned(plan: Plan, *, is_live: bool, is_awaited: bool, age_s: float) -> Owned:
    """An hour's interval, a last checkpoint that began ``age_s`` ago, and work for the next."""
    task = new_task(plan)
    task.is_touched, task.outputs.is_awaited = True, is_awaited
    owned = Owned(task, Checkpointer(task, incarnation=0), is_live=is_live)
    owned.note_checkpoint(time.monotonic() - age_s, 3600.0)
    return owned


@pytest.mark.parametrize(
    ("is_live", "is_awaited", "age_s", "is_due"),
    [(True, True, 2 * ALERT_S, True), (True, False, 2 * ALERT_S, False), (False, True, 2 * ALERT_S, False),
     (True, True, -9.0, False)],
)  # fmt: skip
def test_an_alert_of_a_live_partition_does_not_wait_for_the_interval(
    is_live: bool, is_awaited: bool, age_s: float, is_due: bool
) -> None:
    plan = Plan.from_workload(named_workload("lapse"))
    assert _owned(plan, is_live=is_live, is_awaited=is_awaited, age_s=age_s).is_checkpoint_due == is_due


@pytest.mark.parametrize(
    ("age_s", "clock_empty_at", "sources_empty_at", "is_due"),
    [(1.0, 0.0, 0.0, True), (1.0, None, 0.0, False), (1.0, 0.0, None, False), (0.0, 0.0, 0.0, False)],
)
def test_what_was_caught_up_with_does_not_wait_for_the_interval(
    age_s: float, clock_empty_at: float | None, sources_empty_at: float | None, is_due: bool
) -> None:
    plan = Plan.from_workload(named_workload("lapse"))
    owned = _owned(plan, is_live=False, is_awaited=False, age_s=age_s)
    assert not owned.is_checkpoint_due
    assert not owned.step([sources_empty_at] * len(owned.task.positions), clock_empty_at)
    assert owned.is_checkpoint_due == is_due


def test_alerts_at_events_are_awaited_until_taken_those_of_ticks_are_not() -> None:
    workload = named_workload("lapse")
    plan = Plan.from_workload(workload)
    logs = Logs(workload).write(random_events(workload, 400, 30, seed=1))
    driver = Driver(logs, new_task(plan, schedule=moody(plan)))
    task, seen = driver.task, set[bool]()

    def check() -> bool:
        alerts = [value for _, value in task.outputs._loose.get("alerts", [])]
        kinds = {task.codec.decode(value, "alert")["row_kind"] for value in alerts}
        assert task.outputs.is_awaited == bool(kinds - {op.ROW_KINDS[op.TICK]})
        seen.update([task.outputs.is_awaited] if kinds else [])
        return False

    driver.run(stop=check)
    assert seen == {True, False}
