"""The verifier agrees with a worker that did right, and tells every fault that is put into what one left behind.

Long because the faults stand together: one list says what would be told.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from driftline.cli import cli
from offline.topic_writer import publish
from offline.verifier import logs as verifier_logs
from offline.verifier.cli import verdict_line
from offline.verifier.errors import NotAtRest, NotProvable
from offline.verifier.models import load_models
from offline.verifier.verify import Verdict, VerifyOptions, verify_partition
from producers.kafka_sink import KafkaSink
from producers.simulate import SimulationConfig, simulate
from schemas.codec import Codec
from schemas.partition import partition_of
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import Workload, load_workload
from stream_app import opcodes as op
from stream_app.model import RuleModel
from stream_app.partition_task import PartitionTask
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule
from tests.broker.workers import WorkerProcess, wait_for
from tests.lives import tangled_events, with_silences
from tests.offline.left_behind import LeftBehind, active, run_worker, small_bundle
from tests.streams import DAY_MS, Logs
from tests.workloads import named_workload

FIRST_DAY = 20_160


@pytest.fixture
def two(settings: Settings) -> Settings:
    return replace(settings, partitions=2)


def unruly_logs(workload: Workload, seed: int = 3, n: int = 250, n_customers: int = 24) -> Logs:
    """Two partitions of late, early and silent customers, with duplicates and records that must be refused."""
    batches = with_silences(tangled_events(workload, n, n_customers, seed, days=100), n_customers, seed, weeks=9)
    logs, random = Logs(workload, 2).write(batches), np.random.default_rng(seed)
    for topic in logs.topics:
        for log in topic:
            good = list(log.records)
            for i in sorted(random.integers(1, len(good), 12).tolist(), reverse=True):
                stamp, key, value = good[i - 1]
                assert key is not None
                assert value is not None
                odd = [
                    (stamp, key, value), (stamp, key, value), (stamp, None, value), (stamp, key, None),
                    (stamp, key, b"\1" + value[1:]), (stamp, key, value[:-1]), (stamp, key, value + b"\0"),
                    (stamp, b"nobody", value), (stamp, key, b"\0\0\0\0\7" + value[5:]), (stamp, key, b"\0" * 70_000),
                ][random.integers(0, 10)]  # fmt: skip
                log.records.insert(i, odd)
    for topic in logs.topics:
        strangers = [record for record in topic[1].records if record[1] and partition_of(record[1], 2) == 1]
        topic[0].records[5:5] = strangers[:1]
    return logs


def verified(left: LeftBehind, **options: bool | int) -> Verdict:
    settings, workload = left.settings, left.workload
    create_topics(settings, workload)
    left.write()
    models = load_models(settings, workload)
    return verify_partition(settings, workload, left.driver.task.partition, models, VerifyOptions(**options))  # type: ignore[arg-type]


def count(verdict: Verdict, what: str) -> int:
    return next(c.n_found for c in verdict.comparisons if c.what == what)


# ---- who did right --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["subscription_churn", "lapse", "silence", "random-6"])
def test_a_worker_that_did_right_is_equal(two: Settings, name: str) -> None:
    workload = named_workload(name)
    for partition in range(2):
        left = run_worker(two, workload, unruly_logs(workload), partition)
        verdict = verified(left)
        assert verdict.difference is None
        assert verdict.n_in == sum(len(topic[partition].records) for topic in left.driver.logs.topics)
        assert verdict.n_in == verdict.applied + verdict.duplicate + sum(verdict.refused.values())
        assert verdict.n_unread == verdict.n_pending == verdict.n_behind_clock == 0
        assert len(verdict.refused) > 4
        assert all(c.digest_expected == c.digest_found for c in verdict.comparisons)
        assert count(verdict, "scores") > 100
        assert count(verdict, "dead letters") == sum(verdict.refused.values())
    if workload.alerts:
        assert count(verdict, "alerts") > 0


def released(two: Settings, workload: Workload) -> ModelSchedule:
    """The rule, then one model from day 30 on, then another from day 60 on; both released to the broker."""
    create_topics(two, workload)
    schedule = ModelSchedule(ActiveModel(RuleModel(Plan.from_workload(workload))))
    codec = Codec(FileRegistry.fixed())
    for version, day in (("v0001", FIRST_DAY + 30), ("v0002", FIRST_DAY + 60)):
        bundle = small_bundle(two.models_dir, workload, version, seed=day)
        schedule.add(day, active(bundle, workload))
        record = {
            "event_id": version, "version": version, "bundle_id": bundle.manifest.bundle_id, "activate_day": day,
            "path": f"{workload.name}/{version}", "status": "release", "signal_id": None, "released_as_of_ms": 0,
        }  # fmt: skip
        publish(two, topic_for("model-releases", workload, two), codec, version, record)
    return schedule


@pytest.mark.parametrize(("name", "seed"), [("subscription_churn", 3), ("lapse", 20)])  # in lapse some are forgotten
def test_every_day_is_scored_by_its_model_with_its_reasons(two: Settings, name: str, seed: int) -> None:
    workload = named_workload(name)
    schedule = released(two, workload)
    left = run_worker(two, workload, unruly_logs(workload, seed, 400), 0, schedule)
    versions = {left.codec.decode(value)["model_version"] for _, _, value in left.records["scores"]}
    assert versions == {"rule", "v0001", "v0002"}
    assert any(left.codec.decode(value)["reasons"] for _, _, value in left.records["alerts"])
    verdict = verified(left)
    assert verdict.difference is None
    assert count(verdict, "alerts") > 5


def test_silence_before_live_from_is_known(two: Settings) -> None:
    workload = named_workload("subscription_churn")
    live_from_ms = (FIRST_DAY + 60) * DAY_MS
    left = run_worker(two, workload, unruly_logs(workload), 0, live_from_ms=live_from_ms)
    assert verified(left, live_from_ms=live_from_ms).difference is None


def test_what_a_dead_worker_had_yet_to_publish_is_pending(two: Settings) -> None:
    workload = named_workload("subscription_churn")
    left = run_worker(two, workload, unruly_logs(workload), 0, n_checkpoints=8)
    verdict = verified(left)
    assert verdict.difference is None
    assert verdict.n_pending > 0
    assert verdict.n_unread > 0


def test_what_is_published_again_is_allowed_only_on_demand(two: Settings) -> None:
    left = run_worker(two, named_workload("subscription_churn"), unruly_logs(named_workload("subscription_churn")), 0)
    for role in ("alerts", "scores", "journal"):
        left.records[role].extend(left.records[role][-2:])
    verdict = verified(left, allow_duplicates=True)
    assert verdict.difference is None
    assert sum(c.n_repeated for c in verdict.comparisons) == 4
    strict = verify_partition(two, left.workload, 0, load_models(two, left.workload), VerifyOptions())
    assert strict.difference == "journal: 2 records stand there again"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_that_was_killed_and_went_on_is_equal(two: Settings, tmp_path: Path) -> None:
    workload = load_workload(two.workload)
    create_topics(two, workload)
    config = SimulationConfig(n_customers=300, n_days=30, start_day=date(2025, 1, 1), seed=5, shuffled_share=0.1)
    days = list(simulate(config))
    worker, n = WorkerProcess(two, tmp_path), 0
    worker.start()
    with KafkaSink(two, workload) as sink:
        for i, day in enumerate(days):
            for batch in day.batches:
                sink.publish(batch)
            sink.publish_clock(day.day + 1)
            n += day.n_events
            if i in (10, 20):
                wait_for(lambda: worker.status().get("in", 0) > n // 2, "events", 240)  # noqa: B023
                worker.end(signal.SIGKILL)
                worker.start()
    wait_for(lambda: worker.status().get("in", 0) == n, "all events", 240)
    wait_for(lambda: worker.status().get("clock_day") == days[-1].day + 1, "the last day", 60)
    assert worker.end(signal.SIGTERM) == 0
    models, n_alerts = load_models(two, workload), 0
    for partition in range(2):
        verdict = verify_partition(two, workload, partition, models, VerifyOptions(allow_duplicates=True))
        assert verdict.difference is None
        assert verdict.n_unread == verdict.n_pending == verdict.n_behind_clock == 0
        n_alerts += count(verdict, "alerts")
    assert n_alerts > 0


# ---- who did wrong --------------------------------------------------------------------------------------


def drop_alert(left: LeftBehind) -> str:
    _, _, value = left.records["alerts"].pop(3)
    return f"alerts: {left.codec.decode(value)['event_id']} is missing"


def double_alert(left: LeftBehind) -> str:
    left.records["alerts"].append(left.records["alerts"][2])
    return f"alerts: {left.codec.decode(left.records['alerts'][2][2])['event_id']} is there 2 times, recomputed 1 times"


def change_score(left: LeftBehind) -> str:
    record = left.codec.decode(left.records["scores"][40][2])
    score = float(np.nextafter(np.float32(record["score"]), np.float32(2)))
    left.change("scores", 40, score=score)
    return f"scores: {record['event_id']} score is {score}, recomputed {record['score']}"


def change_reason(left: LeftBehind) -> str:
    record = left.codec.decode(left.records["alerts"][0][2])
    assert record["status"] == "opened"
    left.change("alerts", 0, reasons=[record["reasons"][0] | {"contribution": 3.0}])
    return f"reasons: {record['event_id']}"


def invent_dead_letter(left: LeftBehind) -> str:
    record = left.codec.decode(left.records["dead-letters"][1][2])
    left.change("dead-letters", 1, reason="too_old" if record["reason"] != "too_old" else "garbage")
    return f"dead letters: {record['event_id']} reason is "


def drop_journal(left: LeftBehind) -> str:
    _, key, _ = left.records["journal"][6]
    del left.records["journal"][5]
    return f"are taken by no slice (before checkpoint {str(key, 'ascii')})"


def take_twice(left: LeftBehind) -> str:
    stamp, _, value = left.records["journal"][5]
    left.records["journal"].insert(6, (stamp, b"9/9", value))
    return "are taken twice (before checkpoint 9/9)"


def lose_an_event(left: LeftBehind) -> str:
    """A record that the journal counts is not in the log."""
    del left.records["billing"][40]
    return "journal: "


def damage_a_score(left: LeftBehind) -> str:
    stamp, key, value = left.records["scores"][10]
    left.records["scores"][10] = (stamp, key, value[:-1])
    return "scores: "


FAULTS: list[Callable[[LeftBehind], str]] = [
    drop_alert, double_alert, change_score, change_reason, invent_dead_letter, drop_journal, take_twice,
    lose_an_event,
    damage_a_score,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_topics_is_told(two: Settings, fault: Callable[[LeftBehind], str]) -> None:
    workload = named_workload("subscription_churn")
    left = run_worker(two, workload, unruly_logs(workload), 0)
    expected = fault(left)
    verdict = verified(left)
    assert verdict.difference is not None
    assert expected in verdict.difference
    assert f"DIFFER: first difference: {verdict.difference}" in verdict_line(verdict)


def alter_row(task: PartitionTask) -> None:
    """One more login than there was."""
    place = task.plan.fops[0]
    state = task.state
    head = int(state.s64[task.plan.event_at + op.ROW_DAY])
    at = task.plan.i32_at + place[1] + head % place[2]
    state.s32[at] += 1
    state.dirty[0] = 1


def alter_decision(task: PartitionTask) -> None:
    task.state.s64[task.plan.decision_at + op.N_DECISION + op.EPISODE] += 1
    task.state.dirty[0] = 1


def lose_row(task: PartitionTask) -> None:
    """The customer is gone."""
    task.state.rows[1] = 0
    task.state.dirty[1] = 1


def miscount(task: PartitionTask) -> None:
    task.accounting.applied += 1


@pytest.mark.parametrize(
    ("hurt", "told"),
    [
        (alter_row, "features.logins_7d is"), (alter_decision, "episodes is"), (lose_row, "is missing"),
        (miscount, "accounting: count applied is"),
    ],
)  # fmt: skip
def test_a_fault_in_the_state_is_told(two: Settings, hurt: Callable[[PartitionTask], None], told: str) -> None:
    workload = named_workload("subscription_churn")
    verdict = verified(run_worker(two, workload, unruly_logs(workload), 0, before_last=hurt))
    assert verdict.difference is not None
    assert told in verdict.difference


def test_an_event_that_never_reached_the_state_is_told(two: Settings) -> None:
    """The row is that of a worker that missed one session of this customer; everything else is in order."""
    workload = named_workload("subscription_churn")
    whole = unruly_logs(workload)
    log = whole.topics[0][0].records
    i = next(i for i in range(len(log) - 1, 0, -1) if log[i][1] and log[i][2] and log.count(log[i]) == 1)
    customer = log[i][1]
    missing = unruly_logs(workload)
    missing.topics[0][0].records[i] = (log[i][0], customer, None)
    twin = run_worker(two, workload, missing, 0).driver.task.state

    def forget(task: PartitionTask) -> None:
        part, ids = task.plan.event_part(), task.state.customer_ids(np.arange(task.state.n_slots))
        slot = ids.index(customer)
        theirs = twin.rows[twin.customer_ids(np.arange(twin.n_slots)).index(customer)]
        assert not np.array_equal(task.state.rows[slot, part], theirs[part])
        task.state.rows[slot, part] = theirs[part]
        task.state.dirty[slot] = 1

    verdict = verified(run_worker(two, workload, whole, 0, before_last=forget))
    assert verdict.difference is not None
    assert verdict.difference.startswith(f"customers: customer {str(customer, 'ascii')} ")


# ---- of whom nothing can be said ------------------------------------------------------------------------


def test_a_worker_that_died_in_the_middle_of_a_days_ticks_is_not_at_rest(two: Settings) -> None:
    workload = named_workload("subscription_churn")
    left = run_worker(two, workload, unruly_logs(workload), 0)
    n = next(i + 1 for i, c in enumerate(left.driver.checkpoints) if c.marker["is_sweeping"])
    again = run_worker(two, workload, unruly_logs(workload), 0, n_checkpoints=n)
    with pytest.raises(NotAtRest, match="in the middle of a day's ticks"):
        verified(again)


def test_what_retention_removed_is_not_provable(two: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded broker keeps everything: here it only says that it does not."""
    workload = named_workload("subscription_churn")
    left = run_worker(two, workload, unruly_logs(workload), 0)
    del left.records["journal"][:5]
    bounds = verifier_logs.PartitionLogs.bounds

    def cut(self: verifier_logs.PartitionLogs, *roles: str) -> dict[str, tuple[int, int]]:
        return {role: (1 if role in gone else at, end) for role, (at, end) in bounds(self, *roles).items()}

    monkeypatch.setattr(verifier_logs.PartitionLogs, "bounds", cut)
    gone = {"journal"}
    with pytest.raises(NotProvable, match=r"not provable any more from topic \S+journal partition 0: it begins at"):
        verified(left)
    gone = {"billing"}
    with pytest.raises(NotProvable, match=r"topic \S+billing partition 0: it begins at offset 1, 0 is needed"):
        verified(run_worker(replace(two, topic_prefix=two.topic_prefix + "b"), workload, unruly_logs(workload), 0))


# ---- the command ----------------------------------------------------------------------------------------


def test_the_command_says_so_and_leaves_with_one(two: Settings, settings_env: dict[str, str]) -> None:
    workload = named_workload("subscription_churn")
    logs = unruly_logs(workload)
    lefts = [run_worker(two, workload, logs, partition) for partition in range(2)]
    del lefts[1].records["alerts"][0]
    create_topics(two, workload)
    for left in lefts:
        left.write()
    environment = settings_env | {"DRIFTLINE_PARTITIONS": "2"}
    good = CliRunner().invoke(cli, ["verify", "--partition", "0"], env=environment)
    assert good.exit_code == 0, good.output
    assert good.output.count("\n") == 1
    assert good.output.endswith(": equal\n")
    both = CliRunner().invoke(cli, ["verify", "--json"], env=environment)
    assert both.exit_code == 1
    found = json.loads(both.output)["partitions"]
    assert [partition["is_equal"] for partition in found] == [True, False]
    assert found[1]["difference"].endswith("is missing")
    assert CliRunner().invoke(cli, ["verify", "--partition", "2"], env=environment).exit_code == 2


def test_partitions_that_nobody_has_read_yet_are_equal(two: Settings) -> None:
    workload = named_workload("subscription_churn")
    create_topics(two, workload)
    verdict = verify_partition(two, workload, 1, load_models(two, workload), VerifyOptions())
    assert verdict.difference is None
    assert verdict.n_in == 0
