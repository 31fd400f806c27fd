"""A retrain signal is answered once, in event time, and a restart goes on where the topic says."""

from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import Producer

from offline import retrain_worker as following
from offline.cutoffs import date_text
from offline.registry import Registry
from offline.release import past_releases, release
from offline.repetition import options_of
from offline.retrain_worker import RetrainWorker
from offline.topic_reader import read_records
from offline.topic_writer import publish
from offline.training_options import TrainingOptions
from offline.training_params import TrainingParams
from offline.training_run import train_version
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app.drift import Finding
from stream_app.signals import opened

FIRST_DAY = 19_700
DRIFT_DAY = FIRST_DAY + 200
END_DAY = FIRST_DAY + 310
TUNED = TrainingParams({"max_depth": 3, "learning_rate": 0.05}, origin="by hand")


@pytest.fixture
def house(settings: Settings, workload: Workload, company: Any, fill: Any, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Topics, a lake with a drift in it, and a champion of before the drift."""
    create_topics(settings, workload)
    fill(Lake(settings.lake_dir), workload, company(workload, n_customers=1500, n_days=310, drift_day=200))
    monkeypatch.setattr(following, "ingest", lambda *_: None)  # the lake is filled
    train_version(settings, workload, TrainingOptions(until_day=DRIFT_DAY, params=TUNED))
    release(settings, workload, "v0001", force=True)
    return settings


def _tick(settings: Settings, workload: Workload, day: int) -> None:
    producer, codec = Producer(settings.kafka_config()), Codec(FileRegistry.fixed())
    value = codec.encode("clock", {"event_id": f"clock-{day}", "day": day, "time_ms": day * DAY_MS})
    for partition in range(settings.partitions):
        producer.produce(topic_for("clock", workload, settings).name, value=value, key=b"clock", partition=partition)
    assert producer.flush(30) == 0


def _open(settings: Settings, workload: Workload, day: int, version: str = "v0001") -> None:
    finding = Finding(
        day=day + 15, as_of_ms=(day + 15) * DAY_MS, scope="performance", name="model", statistic="auc", distance=0.2,
        threshold=0.02, verdict="drifted", n=900, model_version=version, detail="", mark="",
    )  # fmt: skip
    signal = opened(workload.name, version, day, "AUC on matured labels fell", [finding])
    topic = topic_for("retrain-signals", workload, settings)
    publish(settings, topic, Codec(FileRegistry.fixed()), signal["signal_id"], signal)


def _signals(settings: Settings, workload: Workload) -> list[Mapping[str, Any]]:
    return read_records(settings, topic_for("retrain-signals", workload, settings), Codec(FileRegistry.fixed()))


def test_a_drifted_champion_is_replaced_once_labels_are_in(house: Settings, workload: Workload) -> None:
    worker = RetrainWorker(house, workload, with_report=False)
    assert worker.step() == 0
    _tick(house, workload, DRIFT_DAY + 20)
    _open(house, workload, DRIFT_DAY)
    assert worker.step() == 2
    accepted, waiting = _signals(house, workload)[1:]
    assert (accepted["status"], waiting["status"]) == ("accepted", "waiting")
    assert waiting["wait_until_day"] == DRIFT_DAY + 30 + 14 + 30
    assert worker.step() == 0

    _tick(house, workload, waiting["wait_until_day"] - 1)
    assert RetrainWorker(house, workload, with_report=False).step() == 0
    _tick(house, workload, END_DAY - 1)
    assert RetrainWorker(house, workload, with_report=False).step() == 1  # a restarted worker
    last = _signals(house, workload)[-1]
    assert (last["status"], last["released_version"]) == ("released", "v0002"), last["reason"]
    assert last["as_of_ms"] == (END_DAY - 1) * DAY_MS
    record = past_releases(house, workload)[-1]
    assert (record["version"], record["signal_id"], record["activate_day"]) == ("v0002", last["signal_id"], END_DAY)
    bundle = Registry(house.models_dir, workload.name).load("champion")
    assert bundle.manifest.version == "v0002"
    assert bundle.manifest.data_window["known_until_day"] == date_text(END_DAY - 1)
    assert bundle.json("evaluation.json")["training"]["params"]["max_depth"] == 3, "as the champion"
    comparison = bundle.json("evaluation.json")["champion"]
    assert comparison["champion"] == "v0001"
    assert comparison["auc_gain"]["low"] > 0
    assert worker.step() == 0
    again = train_version(house, workload, options_of(bundle), like=bundle)
    assert again.manifest.bundle_id == bundle.manifest.bundle_id, "an answer can be made again, too"


def test_a_challenger_equal_to_the_champion_is_refused(house: Settings, workload: Workload) -> None:
    _tick(house, workload, END_DAY - 1)
    _open(house, workload, DRIFT_DAY, version="rule")
    assert RetrainWorker(house, workload, with_report=False).step() == 2
    champion = _signals(house, workload)[-1]["released_version"]
    _open(house, workload, DRIFT_DAY, version=champion)  # the same data again, so the same model
    n_releases = len(past_releases(house, workload))
    assert RetrainWorker(house, workload, with_report=False).step() == 2
    last = _signals(house, workload)[-1]
    assert last["status"] == "refused"
    assert f"not better than {champion} beyond doubt: AUC +0.0000 (+0.0000 to +0.0000)" in last["reason"]
    assert len(past_releases(house, workload)) == n_releases
    assert Registry(house.models_dir, workload.name).alias("challenger") == "v0003"
    assert Registry(house.models_dir, workload.name).alias("champion") == champion


def test_a_crash_between_release_and_signal_releases_once(house: Settings, workload: Workload) -> None:
    _tick(house, workload, END_DAY - 1)
    _open(house, workload, DRIFT_DAY)
    signal_id = _signals(house, workload)[0]["signal_id"]
    release(house, workload, "v0001", force=True, signal_id=signal_id)  # as written before the crash
    assert RetrainWorker(house, workload, with_report=False).step() == 2
    last = _signals(house, workload)[-1]
    assert (last["status"], last["released_version"]) == ("released", "v0001")
    assert len(past_releases(house, workload)) == 2


def test_a_failure_ends_the_signal_with_one_line(settings: Settings, workload: Workload) -> None:
    create_topics(settings, workload)
    _tick(settings, workload, END_DAY)
    _open(settings, workload, DRIFT_DAY, version="rule")
    assert RetrainWorker(settings, workload, with_report=False).step() == 2
    last = _signals(settings, workload)[-1]
    assert last["status"] == "failed"
    assert "holds no events" in last["reason"]
    assert "\n" not in last["reason"]
