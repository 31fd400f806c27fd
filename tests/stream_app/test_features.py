"""Feature rows, and who gets one when, against the slow oracle; both ways to the rows: bytes and recordings."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.events import EventBatch
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.plan import Plan
from stream_app.recording import Rows
from tests.lives import tangled_events, with_silences
from tests.oracles import by_customer, events_of, hash_text, in_merge_order, score_rows
from tests.streams import Driver, Logs, new_task
from tests.workloads import named_workload

N_CUSTOMERS = 9
Expected = dict[str, list[tuple[int, int, list[float]]]]


def lives_of(workload: Workload, seed: int, n: int, days: int, weeks: int) -> list[EventBatch]:
    return with_silences(tangled_events(workload, n, N_CUSTOMERS, seed, days=days), N_CUSTOMERS, seed, weeks)


def expected_rows(workload: Workload, batches: list[EventBatch], last_day: int) -> Expected:
    lives = by_customer(in_merge_order(workload, events_of(workload, batches)))
    return {customer: score_rows(workload, life, last_day) for customer, life in lives.items()}


def check_rows(plan: Plan, rows: Rows, expected: Expected) -> int:
    """Every customer's rows in order, moments and kinds exactly, features to the last digits of a float32."""
    for customer, wanted in expected.items():
        mine = rows.take((rows.customer_id == customer) & (rows.kind != op.ENDED))
        assert list(zip(mine.as_of_ms.tolist(), mine.kind.tolist(), strict=True)) == [row[:2] for row in wanted]
        if wanted:
            x = np.array([row[2] for row in wanted])
            for j, name in enumerate(plan.feature_names):
                np.testing.assert_allclose(mine.X[:, j], x[:, j].astype(np.float32), 2e-7, 1e-7, err_msg=name)
    return sum(map(len, expected.values()))


@pytest.mark.parametrize(
    ("name", "n", "days", "weeks"),
    [
        ("subscription_churn", 300, 110, 6),
        ("lapse", 300, 100, 9),  # longer than it remembers
        ("silence", 500, 100, 6),
        ("random-1", 200, 40, 2),
        ("random-2", 200, 40, 2),
        ("random-3", 200, 40, 2),
        ("random-4", 200, 40, 2),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_rows_are_those_of_the_oracle(name: str, n: int, days: int, weeks: int, seed: int) -> None:
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    batches = lives_of(workload, seed, n, days, weeks)
    logs = Logs(workload).write(batches)
    driver = Driver(logs, new_task(plan), seed).run()

    assert driver.task.accounting.refused == {}
    n_rows = check_rows(plan, driver.all_rows(), expected_rows(workload, batches, logs.clock[-1]))
    assert n_rows > 5 * N_CUSTOMERS


def test_a_constant_shift_of_whole_tiles_changes_no_window() -> None:
    """Windows depend on where days lie in their tiles, not on the date: 6 x 3 x 7 days later all is the same."""
    workload = named_workload("lapse")
    plan = Plan.from_workload(workload)
    windowed = [j for j, column in enumerate(plan.columns) if not column.is_calendar]
    rows = []
    for first_day in (20_160, 20_160 + 6 * 3 * 7):
        batches = tangled_events(workload, 200, 5, 3, days=50, first_day=first_day)
        rows.append(Driver(Logs(workload).write(batches), new_task(plan), 3).run().all_rows())
    assert np.array_equal(rows[0].X[:, windowed], rows[1].X[:, windowed], equal_nan=True)
    assert len(rows[0]) > 50


@pytest.mark.parametrize("text", ["", "a", "12345678", "123456789", "Zürich", "x" * 100])
def test_the_hash_that_breaks_ties_is_the_oracles(text: str) -> None:
    from stream_app.columns import hash_texts

    assert hash_texts(np.array([text, "other"], object)).tolist() == [hash_text(text), hash_text("other")]
