"""A release never changes the past, and rollback is another release."""

import json

import pytest

from offline.errors import ReleaseError, UnknownVersionError
from offline.registry import Registry
from offline.release import clock_days, past_releases, release, rollback
from offline.topic_writer import publish
from schemas.bundle import REQUIRED_FILES, write_bundle
from schemas.codec import Codec
from schemas.durations import DAY_MS
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.topics import topic_for
from schemas.workload import Workload


@pytest.fixture
def registry(settings: Settings, workload: Workload) -> Registry:
    create_topics(settings, workload)
    return Registry(settings.models_dir, workload.name)


def _write(registry: Registry, workload: Workload, claimed: bool = True, workload_hash: str | None = None) -> str:
    version = registry.next_version()
    files = dict.fromkeys(REQUIRED_FILES, b"{}")
    files["evaluation.json"] = json.dumps({"skill": {"claimed": claimed, "text": "AUC as good as it is"}}).encode()
    write_bundle(
        registry.models_dir,
        files,
        workload=workload.name,
        version=version,
        workload_hash=workload_hash or workload.hash,
        data_window={},
    )
    return version


def _tick(settings: Settings, workload: Workload, day: int) -> None:
    """A clock record to every partition."""
    from confluent_kafka import Producer

    producer, codec = Producer(settings.kafka_config()), Codec(FileRegistry.fixed())
    value = codec.encode("clock", {"event_id": f"clock-{day}", "day": day, "time_ms": day * DAY_MS})
    for partition in range(settings.partitions):
        producer.produce(topic_for("clock", workload, settings).name, value=value, key=b"clock", partition=partition)
    assert producer.flush(30) == 0


def test_before_the_first_clock_a_model_scores_from_the_first_day(
    settings: Settings, workload: Workload, registry: Registry
) -> None:
    done = release(settings, workload, _write(registry, workload))
    assert (done.activate_day, done.clock_day) == (0, -1)
    assert registry.alias("champion") == "v0001"


def test_the_past_is_refused_with_the_day_allowed(settings: Settings, workload: Workload, registry: Registry) -> None:
    version = _write(registry, workload)
    for day in (19_800, 19_801, 19_802):
        _tick(settings, workload, day)
    assert clock_days(settings, workload) == dict.fromkeys(range(settings.partitions), 19_802)
    for day in (19_700, 19_802):
        with pytest.raises(ReleaseError, match="the first day allowed is 2024-03-21"):
            release(settings, workload, version, day)
    assert past_releases(settings, workload) == []
    assert registry.alias("champion") is None
    assert release(settings, workload, version).activate_day == 19_803
    assert release(settings, workload, version, 19_900).activate_day == 19_900


def test_one_partition_ahead_counts(settings: Settings, workload: Workload, registry: Registry) -> None:
    _tick(settings, workload, 19_800)
    record = {"event_id": "clock-19805", "day": 19_805, "time_ms": 19_805 * DAY_MS}
    publish(settings, topic_for("clock", workload, settings), Codec(FileRegistry.fixed()), "clock", record)
    assert release(settings, workload, _write(registry, workload)).activate_day == 19_806


def test_the_record_says_all_that_a_worker_needs(settings: Settings, workload: Workload, registry: Registry) -> None:
    version = _write(registry, workload)
    release(settings, workload, version, signal_id="s1")
    (record,) = past_releases(settings, workload)
    assert record["path"] == f"{workload.name}/{version}"
    assert record["bundle_id"] == registry.load(version).manifest.bundle_id
    assert (record["status"], record["signal_id"]) == ("release", "s1")


def test_gates_are_closed_unless_forced(settings: Settings, workload: Workload, registry: Registry) -> None:
    unskilled, foreign = _write(registry, workload, claimed=False), _write(registry, workload, workload_hash="0" * 64)
    with pytest.raises(ReleaseError, match="shows no skill"):
        release(settings, workload, unskilled)
    with pytest.raises(ReleaseError, match="another version of the workload"):
        release(settings, workload, foreign)
    assert release(settings, workload, unskilled, force=True).version == unskilled
    with pytest.raises(UnknownVersionError):
        release(settings, workload, "v0099")


def test_rollback_goes_one_release_back_each_time(settings: Settings, workload: Workload, registry: Registry) -> None:
    versions = [_write(registry, workload) for _ in range(3)]
    for version in versions:
        release(settings, workload, version)
    assert [rollback(settings, workload).version for _ in range(2)] == ["v0002", "v0001"]
    with pytest.raises(ReleaseError, match="no earlier release"):
        rollback(settings, workload)
    assert registry.alias("champion") == "v0001"


def test_a_changed_bundle_is_not_released(settings: Settings, workload: Workload, registry: Registry) -> None:
    version = _write(registry, workload)
    (registry.models_dir / workload.name / version / "model.ubj").write_bytes(b"something else")
    with pytest.raises(Exception, match="has changed since"):
        release(settings, workload, version)
    assert past_releases(settings, workload) == []
