"""Summaries are sums: the same for any batches, spans and checkpoints, and equal to a naive count."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from schemas.reasons import REASONS
from schemas.workload import Workload
from stream_app import opcodes as op
from stream_app.bins import histograms, padded_edges, score_bins
from stream_app.columns import Columns
from stream_app.decide_kernel import score_bin
from stream_app.model import RuleModel
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule
from stream_app.summary import SummaryBuilder
from tests.lives import tangled_events
from tests.oracles import Event, events_of, in_merge_order, scaled
from tests.streams import DAY_MS, Driver, Logs, new_task, restored
from tests.workloads import named_workload

Record = dict[str, Any]


def edges_of(plan: Plan) -> np.ndarray:
    return padded_edges([[0.0, 1.0, 2.5, 10.0]] * plan.n_features)


def schedule_of(plan: Plan) -> ModelSchedule:
    """The rule, with edges as a bundle has."""
    return ModelSchedule(ActiveModel(RuleModel(plan), edges_of(plan)))


def summaries(driver: Driver) -> list[Record]:
    blocks = [block for block in driver.published if block.topic == "summaries"]
    return [driver.task.codec.decode(value, "summary") for block in blocks for _, value in block]


def merged(records: list[Record]) -> Record:
    """All summaries as one: steps by start, days and outcomes by day and version; nothing twice but outcomes."""
    steps = {step["start_ms"]: step for record in records for step in record["steps"]}
    days = {(day["day"], day["model_version"]): day for record in records for day in record["days"]}
    assert len(steps) == sum(len(record["steps"]) for record in records)
    assert len(days) == sum(len(record["days"]) for record in records)
    outcomes: dict[Any, np.ndarray] = {}
    for record in records:
        for outcome in record["outcomes"]:
            counts = np.array([outcome["negatives"], outcome["positives"]])
            key = outcome["as_of_day"], outcome["model_version"]
            outcomes[key] = outcomes.get(key, np.zeros_like(counts)) + counts
    return {"steps": steps, "days": days, "outcomes": {key: counts.tolist() for key, counts in outcomes.items()}}


def naive_steps(workload: Workload, batches: list[Any]) -> dict[int, Record]:
    """Events by hour of known time, one by one."""
    fields = [(topic.name, field) for topic in workload.topics for field in topic.fields]
    steps: dict[int, Record] = {}
    event: Event
    for event in in_merge_order(workload, events_of(workload, batches)):
        start = event["known_time_ms"] // workload.watch.step_ms * workload.watch.step_ms
        empty = {"n_events": [0] * len(workload.kind_index)}
        step = steps.setdefault(start, empty | {name: [0] * len(fields) for name in ("n_null", "sums", "n_values")})
        step["n_events"][workload.kind_index[event["kind"]]] += 1
        for j, (topic, field) in enumerate(fields):
            if topic == event["topic"]:
                value = scaled(field, event[field.name])
                step["n_null"][j] += value is None
                step["n_values"][j] += value is not None
                step["sums"][j] += value or 0
    return steps


@pytest.mark.parametrize("name", ["subscription_churn", "lapse", "silence"])
def test_summaries_are_the_naive_count_and_the_same_for_any_split(name: str) -> None:
    workload = named_workload(name)
    plan = Plan.from_workload(workload)
    batches = tangled_events(workload, 300, 8, 3, days=50)
    logs, found = Logs(workload).write(batches), []
    for seed, longest, share in ((1, 3000, 0.0), (2, 30, 0.3), (3, 400, 0.05)):
        driver = Driver(logs, new_task(plan, schedule=schedule_of(plan)), seed, longest).run(checkpoint_share=share)
        records = summaries(driver)
        assert [record["seq"] for record in records] == list(range(len(records)))
        assert all(a["through_ms"] <= b["through_ms"] for a, b in itertools.pairwise(records))
        found.append(merged(records))
        check_ticks(plan, driver, found[-1])
    assert found[0] == found[1] == found[2]

    expected = naive_steps(workload, batches)
    for start, step in found[0]["steps"].items():
        wanted = expected.pop(start, None)
        if wanted is not None:
            assert {key: step[key] for key in wanted} == wanted
        else:
            assert not sum(step["n_events"])  # scores alone
    assert not expected  # the clock's last day closes the last step


def check_ticks(plan: Plan, driver: Driver, total: Record) -> None:
    """Days against the rows that were scored; steps hold every score once."""
    rows = driver.all_rows()
    model = RuleModel(plan)
    ticks = rows.take(rows.kind == op.TICK)
    assert {day for day, _ in total["days"]} == set((ticks.as_of_ms // DAY_MS).tolist())
    for (day, version), record in total["days"].items():
        x = ticks.X[ticks.as_of_ms == day * DAY_MS]
        scores = model.score(x, np.zeros(len(x), np.int64))
        assert version == "rule"
        assert record["n_rows"] == len(x)
        assert np.array_equal(np.reshape(record["histograms"], (-1, op.N_BINS)), histograms(edges_of(plan), x))
        assert record["scores"] == np.bincount(score_bins(scores), minlength=op.SCORE_BINS).tolist()
    scored = rows.take(rows.kind != op.ENDED)
    micros = np.rint(model.score(scored.X, np.zeros(len(scored), np.int64)).astype(np.float64) * 1e6)
    is_tick = scored.kind == op.TICK
    steps = Counter((np.where(is_tick, scored.as_of_ms, scored.as_of_ms - 1) // driver.task.summary.step_ms).tolist())
    closed = sum(n for step, n in steps.items() if step < driver.task.summary.step)
    assert sum(step["n_scores"] for step in total["steps"].values()) == closed
    assert sum(step["score_micros"] for step in total["steps"].values()) <= micros.sum()


def test_summaries_over_restarts_are_those_without() -> None:
    """Every summary that leaves belongs to a checkpoint: none lost, none counted twice."""
    workload = named_workload("subscription_churn")
    plan = Plan.from_workload(workload)
    logs = Logs(workload).write(tangled_events(workload, 200, 8, 4, days=45))
    whole = merged(summaries(Driver(logs, new_task(plan, schedule=schedule_of(plan)), 1).run()))
    task, checkpoints, records, found = new_task(plan, schedule=schedule_of(plan)), [], [], None
    for seed in range(300):
        driver = Driver(logs, task, seed, 60, found)
        driver.run(lambda d=driver: len(d.checkpoints) >= 8, 0.4)
        records += summaries(driver)
        checkpoints += driver.checkpoints
        finished = task.clock_position == len(logs.clock) and not task.is_sweeping
        task, found = restored(plan, checkpoints)
        task.scorer.schedule = schedule_of(plan)
        if finished and task.accounting.n_in == sum(len(s[0].records) for s in logs.topics):
            break
    else:
        pytest.fail("the log did not come to its end")
    assert seed > 5
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert merged(records) == whole


def test_refused_records_count_in_the_newest_step_and_never_move_it() -> None:
    workload = named_workload("silence")
    summary = SummaryBuilder(Plan.from_workload(workload))
    columns = Columns.empty(6, 2, 0, np.zeros(0, np.uint8))
    columns.status[:] = [op.REFUSED + 7, op.APPLIED, op.REFUSED + 8, op.DUPLICATE, op.APPLIED, op.REFUSED + 7]
    hour = workload.watch.step_ms
    columns.known_time[:] = [2**62, 5 * hour, 2**62, 6 * hour, 4 * hour, -(2**62)]
    summary.events(columns, np.array([0]))
    assert summary.take() is None
    summary.events(columns, np.array([1, 2, 3, 4, 5]))
    summary.open_day(1)
    summary.close_day(1)

    record = summary.take()
    assert record is not None
    assert [step["start_ms"] // hour for step in record["steps"]] == [5, 6]
    assert [sum(step["n_events"]) for step in record["steps"]] == [1, 1]
    assert [step["n_refused"][7] for step in record["steps"]] == [1, 1]
    assert [step["n_refused"][8] for step in record["steps"]] == [1, 0]
    assert len(record["steps"][0]["n_refused"]) == len(REASONS)


def test_years_of_silence_cost_nothing() -> None:
    summary = SummaryBuilder(Plan.from_workload(named_workload("lapse")))
    columns = Columns.empty(2, 3, 0, np.zeros(0, np.uint8))
    columns.status[:] = op.APPLIED
    columns.known_time[:] = [946_684_800_000, 4_102_444_800_000]  # a century of quarters of an hour
    summary.events(columns, np.arange(2))
    assert len(summary._done) == 1


def test_the_snapshot_is_plain_json() -> None:
    workload = named_workload("lapse")
    plan = Plan.from_workload(workload)
    driver = Driver(Logs(workload).write(tangled_events(workload, 80, 5, 5, days=20), clock=False), new_task(plan), 5)
    snapshot = driver.run().task.summary.snapshot()
    twin = SummaryBuilder(plan)
    twin.restore(json.loads(json.dumps(snapshot)))
    assert twin.snapshot() == snapshot
    assert any(snapshot["open"])


def test_score_bins_of_kernel_and_watch_are_the_same() -> None:
    random = np.random.default_rng(6)
    edges = ((np.arange(21) / 20) ** 2).astype(np.float32)
    near = np.concatenate([edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(1))])
    scores = np.concatenate([near, random.random(2000).astype(np.float32)])
    scores = scores[(scores >= 0) & (scores <= 1)]
    assert [score_bin(score) for score in scores] == score_bins(scores).tolist()
