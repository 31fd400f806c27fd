"""A past score is computed again from the log, bit for bit, or it is said why it cannot be."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from driftline.cli import cli
from offline.audit import Auditor
from offline.audit_run import audit_named, audit_random, list_scores
from offline.audit_scores import PastScores
from offline.ingest import ingest
from schemas.codec import Codec
from schemas.events import EventBatch
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.plan import Plan
from tests.lives import tangled_events, with_silences
from tests.offline.past import FIRST_DAY, SWAPS, Past, live, produce, release, unruly_events, write_model
from tests.streams import DAY_MS
from tests.workloads import SILENCE, named_workload


def publish_logs(settings: Settings, workload: Workload, past: Past, begin: float, end: float) -> None:
    """Put a share of every log on the broker."""
    for topic, partitions in zip(workload.topics, past.logs.topics, strict=True):
        for partition, log in enumerate(partitions):
            n = len(log.records)
            produce(settings, settings.topic_prefix + topic.name, partition, log.records[int(n * begin) : int(n * end)])


@pytest.fixture(scope="module")
def house(broker: str, workload: Workload, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Past]:
    """Two partitions, three models one after the other; the first half of the events is in the lake."""
    home = tmp_path_factory.mktemp("audit")
    settings = Settings(bootstrap=broker, home=home, topic_prefix=f"audit{time.monotonic_ns()}-", partitions=2)
    create_topics(settings, workload)
    plan, batches = Plan.from_workload(workload), unruly_events(workload, 1000, 40, 4)
    bundles = {version: write_model(settings, plan, batches, version, i) for i, version in enumerate(SWAPS)}
    past = live(settings, plan, batches, bundles)
    for version, bundle in bundles.items():
        release(settings, workload, bundle, SWAPS[version])
    publish_logs(settings, workload, past, 0.0, 0.5)
    ingest(settings, workload)
    publish_logs(settings, workload, past, 0.5, 1.0)
    for partition in range(settings.partitions):
        records = [(1, key, value) for key, value in past.scores(partition)]
        produce(settings, f"{settings.topic_prefix}scores", partition, [*records, *records[-20:]])  # some twice
    return settings, past


def scores_of(past: Past) -> list[dict[str, Any]]:
    codec = Codec(FileRegistry.fixed())
    return [codec.decode(value) for p in range(len(past.drivers)) for _, value in past.scores(p)]


def test_a_thousand_random_scores_are_equal_across_two_swaps(house: tuple[Settings, Past], workload: Workload) -> None:
    settings, past = house
    found = audit_random(settings, workload, 1000, seed=3)
    assert found.lines[-1] == "1000 of 1000 equal", found.lines
    assert found.exit_code == 0
    chosen = PastScores(settings, workload).random(1000, 3)
    assert len({score.event_id for score in chosen}) == 1000
    assert {score.model_version for score in chosen} == {"rule", "v0001", "v0002"}
    assert {score.row_kind for score in chosen} == {0, 1, 2}
    refused = [driver.task.accounting for driver in past.drivers]
    assert min(a.late for a in refused) > 10
    assert min(a.duplicate for a in refused) > 10


def test_as_many_as_there_are(house: tuple[Settings, Past], workload: Workload) -> None:
    settings, past = house
    everything = {record["event_id"] for record in scores_of(past)}
    found = PastScores(settings, workload).random(10**6, 0)
    assert {score.event_id for score in found} == everything
    assert len(found) == len(everything)


def test_what_became_known_later_is_told_apart(house: tuple[Settings, Past], workload: Workload) -> None:
    """As it happened, a tick sees what was reported late and not what was announced ahead: here recounted by hand."""
    settings, past = house
    ticks = [score for score in PastScores(settings, workload).random(4000, 1) if score.row_kind == 0][:200]
    audits = Auditor(settings, workload, as_happened=True).audit(ticks)
    codec = Codec(FileRegistry.for_workload(workload))
    n_changed = 0
    for audit in audits:
        assert audit.then is not None
        ids, n = set[str](), 0
        for topic, partitions in zip(workload.topics, past.logs.topics, strict=True):
            for log in partitions:
                for _, key, value in log.records:
                    if key != audit.past.customer_id.encode():
                        continue
                    event = codec.decode(value, topic.name)
                    is_new = event["event_id"] not in ids or not topic.deduplicate
                    n += is_new and event["event_time_ms"] < audit.past.as_of_ms
                    ids.add(event["event_id"])
        assert (0 if audit.happened is None else audit.happened.row.n_events) == n
        n_changed += audit.happened is not None and audit.happened.row.hash != audit.past.feature_hash
    assert n_changed > 20


def test_a_tampered_score_is_told(house: tuple[Settings, Past], workload: Workload) -> None:
    settings, past = house
    record = next(r for r in scores_of(past) if r["row_kind"] == "tick" and r["model_version"] == "v0001")
    forged = record | {"score": float(np.nextafter(np.float32(record["score"]), np.float32(2)))}
    partition = next(p for p in range(2) if any(k == record["customer_id"].encode() for k, _ in past.scores(p)))
    value = Codec(FileRegistry.fixed()).encode("score", forged)
    produce(settings, f"{settings.topic_prefix}latest-scores", partition, [(1, record["customer_id"].encode(), value)])
    found = audit_named(settings, workload, record["event_id"])
    assert found.exit_code == 1
    verdicts = [audit["verdict"] for audit in found.content["audits"]]
    assert verdicts == ["equal", "differs"]
    assert found.content["audits"][1]["detail"].startswith("score ")
    true = PastScores(settings, workload).named(record["event_id"])[0]
    forgeries: dict[str, Any] = {
        "feature_hash": 1, "stamps": (3, 3, 3, 3, 3), "band": "none", "as_of_ms": FIRST_DAY * DAY_MS,
    }  # fmt: skip
    for name, content in forgeries.items():
        audit = Auditor(settings, workload).audit([replace(true, **{name: content})])[0]
        assert audit.verdict in ("differs", "erased"), name


def test_a_score_that_nobody_holds_is_not_retained(house: tuple[Settings, Past], workload: Workload) -> None:
    found = audit_named(house[0], workload, "C00001@12/0")
    assert (found.exit_code, found.content["verdict"]) == (2, "not retained")
    assert "not retained" in found.lines[0]


def test_events_that_are_gone_are_told_from_events_that_were_erased(
    house: tuple[Settings, Past], workload: Workload, tmp_path: Any
) -> None:
    settings, past = house
    score = next(s for s in PastScores(settings, workload).random(500, 5) if min(s.stamps) > 20)
    short = replace(settings, home=tmp_path)  # a lake that begins late
    shutil.copytree(settings.models_dir, short.models_dir)
    shutil.copytree(settings.lake_dir, short.lake_dir)
    commit = next((short.lake_dir / "usage" / "_commits").glob(f"{_partition(past, score.customer_id)}-0-*.json"))
    kept = json.loads(commit.read_text())
    commit.unlink()
    first = max(int(commit.stem.split("-")[2]), 1)
    commit.with_name(f"{_partition(past, score.customer_id)}-{first}-{first}.json").write_text(
        json.dumps({"files": [], "n_rows": 0})
    )
    audit = Auditor(short, workload).audit([score])[0]
    assert audit.verdict == "not retained", audit.detail
    commit.with_name(f"{_partition(past, score.customer_id)}-{first}-{first}.json").unlink()
    commit.write_text(json.dumps(kept))
    assert Auditor(short, workload).audit([score])[0].verdict == "equal"
    commit.write_text(json.dumps({"files": [], "n_rows": 0}))  # the range is held, the rows are not
    early = next(s for s in PastScores(settings, workload).of_customer(score.customer_id) if 0 <= s.stamps[0] < first)
    audit = Auditor(short, workload).audit([early])[0]
    assert audit.verdict == "erased", audit.detail


def _partition(past: Past, customer_id: str) -> int:
    return next(p for p in range(len(past.drivers)) if any(k == customer_id.encode() for k, _ in past.scores(p)))


def test_a_missing_bundle_is_told(house: tuple[Settings, Past], workload: Workload, tmp_path: Any) -> None:
    settings, _ = house
    bare = replace(settings, home=tmp_path)
    shutil.copytree(settings.lake_dir, bare.lake_dir)
    scores = PastScores(settings, workload).random(200, 6)
    for audit in Auditor(bare, workload).audit(scores):
        expected = "equal" if audit.past.model_version == "rule" else "model bundle missing"
        assert audit.verdict == expected, audit.detail
    changed = settings.models_dir / workload.name / "v0001" / "model.ubj"
    shutil.copytree(settings.models_dir, bare.models_dir)
    target = bare.models_dir / workload.name / "v0001" / "model.ubj"
    target.write_bytes(changed.read_bytes() + b"x")
    one = next(score for score in scores if score.model_version == "v0001")
    audit = Auditor(bare, workload).audit([one])[0]
    assert (audit.verdict, "has changed since" in audit.detail) == ("model bundle missing", True)


def test_the_command_finds_ids_and_says_everything(
    house: tuple[Settings, Past], workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = house
    for name, value in (
        ("BOOTSTRAP", settings.bootstrap), ("HOME", settings.home), ("TOPIC_PREFIX", settings.topic_prefix),
        ("PARTITIONS", settings.partitions),
    ):  # fmt: skip
        monkeypatch.setenv(f"DRIFTLINE_{name}", str(value))
    runner = CliRunner()
    listed = json.loads(runner.invoke(cli, ["audit", "--customer", "C00003", "--json"]).stdout)["scores"]
    assert len(listed) == 20
    assert [score["as_of_ms"] for score in listed] == sorted(score["as_of_ms"] for score in listed)
    at = list_scores(settings, workload, "C00003", "2025-04-10T12:00").content["scores"]
    assert all(abs(score["as_of_ms"] - 1_744_286_400_000) < 40 * DAY_MS for score in at)
    done = runner.invoke(cli, ["audit", listed[-1]["event_id"], "--as-happened"])
    assert done.exit_code == 0, done.output
    assert f"{listed[-1]['event_id']}: equal" in done.output
    assert "days_since_session" in done.output
    assert "as happened" in done.output
    assert "reason " in done.output
    said = json.loads(runner.invoke(cli, ["audit", listed[-1]["event_id"], "--json"]).stdout)
    assert said["recomputed"]["score"] == said["recorded"]["score"]
    assert runner.invoke(cli, ["audit", "nonsense"]).exit_code == 2
    assert runner.invoke(cli, ["audit"]).exit_code == 2
    assert runner.invoke(cli, ["audit", "C00003@1/0"]).exit_code == 2


def audit_everything(settings: Settings, workload: Workload, events: list[EventBatch]) -> Past:
    """Live through events by the rule, and audit every score."""
    create_topics(settings, workload)
    past = live(settings, Plan.from_workload(workload), events, {})
    publish_logs(settings, workload, past, 0.0, 1.0)
    for partition in range(settings.partitions):
        records = [(1, key, value) for key, value in past.scores(partition)]
        produce(settings, f"{settings.topic_prefix}scores", partition, records)
    found = audit_random(settings, workload, 10**6)
    assert found.content["n"] > 1000
    assert found.exit_code == 0, found.lines
    return past


@pytest.mark.parametrize("name", ["lapse", "silence"])
def test_scores_after_a_silence_in_which_the_customer_was_forgotten(settings: Settings, name: str) -> None:
    workload = named_workload(name)
    events = with_silences(tangled_events(workload, 400, 24, 12, days=170), 24, 12, weeks=11)
    audit_everything(replace(settings, partitions=2), workload, events)


def test_an_open_alert_puts_off_the_forgetting(settings: Settings) -> None:
    """An event on the very day on which the customer would be forgotten: some rows went on, others began anew."""
    alert = '[[alert]]\nname = "quiet"\nopen_above = 0.9\nclose_below = 0.5\ncool_down = "50d"\n'
    text = SILENCE.replace('idle_after = "10d"', 'idle_after = "30d"').split("[[alert]]")[0] + alert
    workload, random = parse_workload(text, "quiet.toml"), np.random.default_rng(13)
    gaps = random.choice([2.0, 5.0, 30.2], (40, 24), p=[0.3, 0.4, 0.3]) + random.random((40, 24)) * 1.5
    moments = (FIRST_DAY * DAY_MS + np.cumsum(gaps, axis=1) * DAY_MS).astype(np.int64).ravel()
    ids = [f"order-{i}" for i in range(len(moments))]
    customers = np.repeat([f"C{i:05d}" for i in range(40)], 24).astype(object)
    events = EventBatch("orders", ids, customers, moments, moments, np.zeros(len(moments)), {}).sort()  # type: ignore[arg-type]
    past = audit_everything(replace(settings, partitions=2), workload, [events])
    assert sum(driver.task.scorer.alerts.closed for driver in past.drivers) > 20
