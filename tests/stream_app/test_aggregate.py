"""The aggregator on a small world of customers who leave: what it finds, leaves alone, and depends on."""

from __future__ import annotations

import copy
import functools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from stream_app.aggregate import Aggregator, Output
from stream_app.drift import DAY_MS
from stream_app.errors import SummaryGap
from stream_app.policy import RetrainPolicy
from stream_app.pulse import Shape
from stream_app.reference import Reference, score_bins
from stream_app.signals import moved

HORIZON, WARM, LEARN = 30, 150, 84
STEP_MS = DAY_MS // 4
SHAPE = Shape("w", 4, ("session", "cancel"), ("usage.minutes",), 2, STEP_MS, HORIZON)
Summary = dict[str, Any]


@dataclass(frozen=True)
class Column:
    name: str
    is_categorical: bool = False
    is_ageing: bool = False
    is_calendar: bool = False


COLUMNS = (Column("minutes"), Column("plan", is_categorical=True), Column("tenure", is_ageing=True), Column("noise"))


@dataclass
class World:
    """Customers with a slow hidden risk that a fixed model scores; who leaves is replaced. Days count from its release.

    concept_day: from then on risk hardly tells who leaves. shift_day: from then on minutes are 60 % more (units, say).
    """

    seed: int = 0
    n: int = 3000
    days: int = 60
    concept_day: int = 10**6
    shift_day: int = 10**6
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng, n = np.random.default_rng(self.seed), self.n
        risk, who, born, taken = rng.normal(size=n), np.arange(n), np.zeros(n), n
        left_on: dict[int, int] = {}
        for day in range(-WARM - LEARN, self.days):
            wave = 1.0 + 0.15 * np.sin(2 * np.pi * day / 60)
            said = 1.0 - np.exp(-30.0 * np.exp(np.minimum(np.log(1e-4) + 2.7 * risk, np.log(0.2))))
            scores = 1.0 / (1.0 + np.exp(-np.log(said / (1 - said)) - 0.25 * rng.normal(size=n)))
            minutes = np.exp(4.0 - 0.3 * risk + 0.5 * rng.normal(size=n)) * wave
            minutes *= 1.6 if day >= self.shift_day else 1.0
            X = np.stack([minutes, who % 3, day - born, rng.normal(size=n)], axis=1).astype(np.float32)
            if day >= -LEARN:
                self.rows.append((day, who.copy(), X, scores))
            level, slope = (7e-4, 1.3) if day >= self.concept_day else (1e-4, 3.0)
            hazard = np.exp(np.minimum(np.log(level) + slope * risk, np.log(0.2)))
            gone = np.flatnonzero(rng.random(n) < 1.0 - np.exp(-hazard))
            left_on.update((int(who[i]), day) for i in gone)
            risk = 0.99 * risk + np.sqrt(1 - 0.99**2) * rng.normal(size=n)
            who[gone], born[gone], risk[gone] = np.arange(taken, taken + gone.size), day, rng.normal(size=gone.size)
            taken += gone.size
        self.left_on = np.full(taken, 10**6)
        self.left_on[list(left_on)] = list(left_on.values())

    def labels(self, day: int, who: np.ndarray) -> np.ndarray:
        return (self.left_on[who] >= day) & (self.left_on[who] < day + HORIZON)

    @functools.cached_property
    def reference(self) -> Reference:
        learned = [row for row in self.rows if row[0] < -HORIZON]
        return Reference.build(
            COLUMNS,
            np.concatenate([X for _, _, X, _ in learned]),
            np.concatenate([np.full(who.size, (day + 1000) * DAY_MS) for day, who, _, _ in learned]),
            np.concatenate([scores for *_, scores in learned]),
            np.concatenate([self.labels(day, who) for day, who, _, _ in learned]),
            horizon_days=HORIZON,
        )

    @functools.cached_property
    def summaries(self) -> list[list[Summary]]:
        """By partition, one a day, from day 1000 on."""
        live = [row for row in self.rows if row[0] >= 0]
        return [[self._summary(p, i, live) for i in range(len(live))] for p in range(SHAPE.n_partitions)]

    def _summary(self, partition: int, i: int, live: list[tuple[Any, ...]]) -> Summary:
        day, who, X, scores = live[i]
        mine = who % SHAPE.n_partitions == partition
        rng = np.random.default_rng([self.seed, partition, i])
        return {
            "event_id": f"{partition}-{i}",
            "partition": partition,
            "seq": i,
            "through_day": 1000 + day,
            "through_ms": (1000 + day) * DAY_MS,
            "steps": [self._step(rng, 999 + day, k) for k in range(4)],
            "days": [
                {
                    "day": 1000 + day,
                    "model_version": "v1",
                    "n_rows": int(mine.sum()),
                    "histograms": self.reference.histograms(X[mine]).ravel().tolist(),
                    "scores": np.bincount(score_bins(scores[mine]), minlength=20).tolist(),
                }
            ],
            "outcomes": [self._outcome(partition, *live[i - HORIZON])] if i >= HORIZON else [],
        }

    def _outcome(self, partition: int, day: int, who: np.ndarray, _: Any, scores: np.ndarray) -> dict[str, Any]:
        mine = who % SHAPE.n_partitions == partition
        bins, left = score_bins(scores[mine]), self.labels(day, who[mine])
        return {
            "as_of_day": 1000 + day,
            "model_version": "v1",
            "negatives": np.bincount(bins[~left], minlength=20).tolist(),
            "positives": np.bincount(bins[left], minlength=20).tolist(),
        }

    def _step(self, rng: np.random.Generator, day: int, k: int) -> dict[str, Any]:
        n = int(rng.poisson((40, 200, 300, 120)[k] * (0.4 if day % 7 > 4 else 1.0)))
        return {
            "start_ms": day * DAY_MS + k * STEP_MS,
            "n_events": [n, int(rng.poisson(0.2))],
            "n_refused": [0, int(rng.poisson(0.001 * n))],
            "n_null": [int(rng.poisson(0.02 * n))],
            "sums": [int(300 * n + 200 * np.sqrt(n) * rng.normal())],
            "n_values": [n],
            "n_scores": n,
            "score_micros": int(40_000 * n + 30_000 * np.sqrt(n) * rng.normal()),
        }


@dataclass
class Cusum:
    """A detector that the pure tests need no River for."""

    total: float = 0.0
    n_seen: int = 0
    verdict: Any = "too_few"

    def update(self, value: float) -> None:
        self.n_seen += 1
        self.total = max(0.0, self.total + abs(value) - 3.0)
        self.verdict = "drifted" if self.total > 10.0 else "steady"
        self.total = 0.0 if self.total > 10.0 else self.total


@functools.cache
def _world(**settings: int) -> World:
    return World(**settings)


def _aggregator(world: World, **changes: Any) -> Aggregator:
    return Aggregator(SHAPE, lambda version: world.reference, **({"detector": Cusum} | changes))


def _in_turn(by_partition: list[list[Summary]]) -> list[Summary]:
    return [summary for day in zip(*by_partition, strict=True) for summary in day]


def _outputs(aggregator: Aggregator, summaries: Iterable[Summary]) -> list[Output]:
    return [output for summary in summaries for output in aggregator.update(summary)]


def _signals(outputs: list[Output]) -> list[dict[str, Any]]:
    return [output.record for output in outputs if output.topic == "retrain-signals"]


def _drifted(outputs: list[Output], *scopes: str) -> list[dict[str, Any]]:
    records = [output.record for output in outputs if output.topic == "drift"]
    return [record for record in records if record["verdict"] == "drifted" and record["scope"] in scopes]


def _interleaved(by_partition: list[list[Summary]], seed: int) -> list[Summary]:
    """Any order that keeps each partition's own, with redeliveries of what has been."""
    rng, queues, order = random.Random(seed), [list(found) for found in by_partition], []
    while any(queues):
        queue = rng.choice([queue for queue in queues if queue])
        order += [queue.pop(0) for _ in range(rng.randint(1, min(12, len(queue))))]
        order += rng.sample(order, 1) if rng.random() < 0.3 else []
    return order


def test_without_drift_there_is_no_signal_although_tenure_ages_and_a_season_passes() -> None:
    world = _world(seed=1, days=110)
    outputs = _outputs(_aggregator(world), _in_turn(world.summaries))
    assert _signals(outputs) == []
    judged = [o.record for o in outputs if o.record.get("statistic") == "auc" and o.record["verdict"] == "steady"]
    assert len(judged) > 60


def test_planted_concept_drift_is_found_by_matured_labels_and_by_nothing_else() -> None:
    world = _world(seed=2, days=110, concept_day=40)
    outputs = _outputs(_aggregator(world), _in_turn(world.summaries))
    (signal,) = _signals(outputs)
    assert {item["scope"] for item in signal["evidence"]} == {"performance"}
    assert 0 < signal["as_of_ms"] // DAY_MS - 1000 - 40 <= 30 + 25


def test_a_covariate_shift_is_found_after_it_lasted_and_before_any_label() -> None:
    world = _world(seed=3, days=40, shift_day=15)
    outputs = _outputs(_aggregator(world), _in_turn(world.summaries))
    (signal,) = _signals(outputs)
    assert [item["name"] for item in signal["evidence"]] == ["minutes"]
    assert 7 <= signal["as_of_ms"] // DAY_MS - 1000 - 15 <= 16
    assert signal["signal_id"] in {f"w-v1-{day}" for day in _dates(1000, 40)}


def test_ageing_columns_drift_on_the_record_and_open_nothing() -> None:
    world = _world(seed=1, days=110)
    grown = copy.deepcopy(world.summaries)
    for summary in (summary for partition in grown for summary in partition):
        for day in summary["days"]:
            day["histograms"][22:33] = [0] * 10 + [day["n_rows"]]
    outputs = _outputs(_aggregator(world), _in_turn(grown))
    found = _drifted(outputs, "feature")
    assert {record["name"] for record in found} == {"tenure"}
    assert all(record["detail"].startswith("ageing") for record in found)
    assert _signals(outputs) == []


def _with_moved_noise(world: World, share: Callable[[int], float]) -> list[list[Summary]]:
    """The summaries with that share of the lower half of column `noise` in its top bin, by day after the release."""
    moved_ones = copy.deepcopy(world.summaries)
    for summary in (summary for partition in moved_ones for summary in partition):
        for day in summary["days"]:
            noise = np.array(day["histograms"][33:44])
            taken = (noise[:5] * share(day["day"] - 1000)).astype(int)
            noise[:5] -= taken
            noise[9] += taken.sum()
            day["histograms"][33:44] = noise.tolist()
    return moved_ones


def test_a_column_that_creeps_more_slowly_than_labels_come_is_left_to_the_labels() -> None:
    world = _world(seed=1, days=110)
    outputs = _outputs(_aggregator(world), _in_turn(_with_moved_noise(world, lambda day: 0.45 * day / 110)))
    found = [record for record in _drifted(outputs, "feature") if record["statistic"] == "psi"]
    assert len({record["day"] for record in found if record["name"] == "noise"}) > 14
    assert {record["detail"].split(":")[0] for record in found} == {"crept"}
    assert _signals(outputs) == []


def test_a_column_that_jumps_is_not_excused_by_labels_of_days_before_the_jump() -> None:
    world = _world(seed=1, days=110)
    outputs = _outputs(_aggregator(world), _in_turn(_with_moved_noise(world, lambda day: 0.45 * (day >= 60))))
    (signal,) = _signals(outputs)
    assert {item["name"] for item in signal["evidence"]} == {"noise"}
    assert 60 < signal["as_of_ms"] // DAY_MS - 1000 <= 75


@pytest.mark.parametrize("seed", range(6))
def test_interleaving_and_redelivery_change_nothing(seed: int) -> None:
    world = _world(seed=3, days=40, shift_day=15)
    expected = _outputs(_aggregator(world), _in_turn(world.summaries))
    found = _outputs(_aggregator(world), _interleaved(world.summaries, seed))
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    assert len({output.record["event_id"] for output in found}) == len(found)


def test_even_whole_partitions_one_after_the_other_give_the_same() -> None:
    world = _world(seed=2, days=110, concept_day=40)
    expected = _outputs(_aggregator(world), _in_turn(world.summaries))
    found = _outputs(_aggregator(world), [summary for partition in world.summaries for summary in partition])
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


def test_a_missing_number_stops_it() -> None:
    world = _world(seed=3, days=40, shift_day=15)
    aggregator = _aggregator(world)
    aggregator.update(world.summaries[0][0])
    with pytest.raises(SummaryGap, match="partition 0: expected number 1, found 2"):
        aggregator.update(world.summaries[0][2])


def test_a_silent_partition_makes_partial_days_that_open_nothing_until_it_is_back() -> None:
    world = _world(seed=3, days=40, shift_day=15)
    aggregator = _aggregator(world)
    found = _outputs(aggregator, _in_turn(world.summaries[:3]))
    assert found == []
    partial = aggregator.overdue()
    assert {output.record["share"] for output in partial} == {0.75}
    assert max(output.record["day"] for output in partial) == 1037
    assert _drifted(partial, "feature")
    assert aggregator.overdue() == []
    whole = _outputs(aggregator, world.summaries[3])
    expected = _outputs(_aggregator(world), _in_turn(world.summaries))
    assert sorted(map(repr, whole)) == sorted(map(repr, expected))
    assert not {output.record["event_id"] for output in partial} & {output.record["event_id"] for output in whole}


def test_a_day_is_too_few_until_seven_ticks_are_pooled() -> None:
    world = _world(seed=1, days=110)
    outputs = _outputs(_aggregator(world), _in_turn(world.summaries)[: 4 * 9])
    verdicts = {o.record["day"]: o.record["verdict"] for o in outputs if o.record.get("name") == "minutes"}
    assert [day - 1000 for day, verdict in verdicts.items() if verdict != "too_few"] == [6, 7, 8]


def test_the_rule_model_has_no_reference_and_no_feature_verdicts() -> None:
    world = _world(seed=3, days=40, shift_day=15)
    outputs = _outputs(Aggregator(SHAPE, lambda version: None), _in_turn(world.summaries))
    assert Counter(output.record["scope"] for output in outputs) == {"performance": 10}
    assert {output.record["verdict"] for output in outputs} == {"too_few"}


def test_a_restart_judges_again_and_decides_nothing_anew() -> None:
    world = _world(seed=3, days=40, shift_day=15)
    first = _outputs(_aggregator(world), _in_turn(world.summaries))
    (signal,) = _signals(first)
    again = _aggregator(world, decided_through=1039)
    again.update_signal(moved(signal, "refused", 1030 * DAY_MS))
    second = _outputs(again, _in_turn(world.summaries))
    assert _signals(second) == []
    assert [o for o in first if o.topic == "drift"] == [o for o in second if o.topic == "drift"]


def test_a_crash_between_signal_and_drift_records_opens_the_same_signal() -> None:
    world = _world(seed=3, days=40, shift_day=15)
    (signal,) = _signals(_outputs(_aggregator(world), _in_turn(world.summaries)))
    day = signal["as_of_ms"] // DAY_MS
    again = _outputs(_aggregator(world, decided_through=day - 1), _in_turn(world.summaries))
    assert _signals(again) == [signal]


def test_a_signal_nobody_takes_expires_and_then_it_cools_down() -> None:
    world = _world(seed=3, days=40, shift_day=15)
    policy = RetrainPolicy(expire_after_days=5, cool_down_days=5)
    records = _signals(_outputs(_aggregator(world, policy=policy), _in_turn(world.summaries)))
    statuses = [(record["status"], record["as_of_ms"] // DAY_MS) for record in records]
    start = statuses[0][1]
    assert statuses[:3] == [("open", start), ("expired", start + 6), ("open", start + 11)]


def test_the_fast_loop_is_quiet_on_weekends_and_loud_on_a_dead_source() -> None:
    world = _world(seed=1, days=110)
    assert _drifted(_outputs(_aggregator(world), _in_turn(world.summaries)), "volume", "missing", "value") == []
    dead = copy.deepcopy(world.summaries)
    for summary in (summary for partition in dead for summary in partition if summary["through_day"] > 1060):
        for step in summary["steps"]:
            step["n_events"][0] = step["n_values"][0] = 0
    found = _drifted(_outputs(_aggregator(world), _in_turn(dead)), "volume")
    assert {record["name"] for record in found} == {"session"}
    assert 0 < found[0]["as_of_ms"] - 1060 * DAY_MS <= 2 * DAY_MS


def test_a_day_is_judged_fast() -> None:
    world = _world(seed=1, days=110)
    summaries, aggregator = _in_turn(world.summaries), _aggregator(world)
    started = time.process_time()
    _outputs(aggregator, summaries)
    assert (time.process_time() - started) / 110 < 0.05


def _dates(first: int, n: int) -> list[str]:
    return [str(np.datetime64(day, "D")) for day in range(first, first + n)]
