"""The examples read real logs: exact counts, and nothing refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from producers.recording import Recording, day_of
from producers.sources import read_events
from schemas.workload import Workload, load_workload


def load(repository: Path, example: str, folder: str) -> tuple[Workload, Recording]:
    data = repository.parent / "shared" / "data" / folder
    if not data.is_dir():
        pytest.skip(f"the log {folder!r} is not at hand: no folder {data}")
    workload = load_workload(repository / "examples" / f"{example}.toml")
    return workload, read_events(workload, data)


def kinds(workload: Workload, recording: Recording) -> Counter[str]:
    counts: Counter[str] = Counter()
    for day in recording:
        for batch in day.batches:
            names = workload.topic(batch.topic).kinds
            counts.update({names[kind].name: n for kind, n in Counter(batch.kind.tolist()).items()})
    return counts


def customers(recording: Recording) -> set[str]:
    return {str(name) for day in recording for batch in day.batches for name in batch.customer_id}


def test_subscription_usage(repository: Path) -> None:
    workload, recording = load(repository, "subscription_usage", "subscription_usage")

    assert [(s.name, s.n_rows, s.n_events, s.refusals.n) for s in recording.sources] == [
        ("usage_events", 1_094_211, 1_094_211, 0),
        ("subscriptions", 3_241, 3_241, 0),
        ("accounts", 576, 576, 0),
    ]
    found = kinds(workload, recording)
    assert (found["message"], found["unfriend"], found["period_paid"]) == (338_849, 1_084, 3_241)
    assert len(customers(recording)) == 576
    assert (recording.days[0].day, recording.days[-1].day) == (day_of("2020-01-01"), day_of("2020-09-30"))
    usage = [name for day in recording for batch in day.batches if batch.topic == "usage" for name in batch.event_id]
    assert len(set(usage)) == 1_094_211, "137 events are written twice in the log, and each has an id of its own"


def test_online_retail(repository: Path) -> None:
    workload, recording = load(repository, "online_retail", "online_retail")

    (lines,) = recording.sources
    assert (lines.n_rows, lines.n_filtered, lines.n_events, lines.refusals.n) == (320_705, 88_652, 232_053, 0)
    assert kinds(workload, recording) == {"purchase": 226_488, "cancellation": 5_565}
    assert len(customers(recording)) == 3_360
    assert all(name.isdigit() for name in customers(recording)), "a customer is 17850, not 17850.0"


def test_cdnow(repository: Path) -> None:
    _, recording = load(repository, "cdnow", "cdnow")

    (orders,) = recording.sources
    assert (orders.n_rows, orders.n_events, orders.refusals.n) == (69_659, 69_659, 0)
    assert len(customers(recording)) == 23_570
    amounts = [batch.values["amount"].sum() for day in recording for batch in day.batches]
    assert "00001" in customers(recording), "leading zeros belong to the name"
    assert sum(amounts) == pytest.approx(2_500_315.63)
    assert (recording.days[0].day, recording.days[-1].day) == (day_of("1997-01-01"), day_of("1998-06-30"))


def test_subscriptions_give_begin_price_and_end_of_each_period_up_to_the_end_of_the_log(repository: Path) -> None:
    workload, recording = load(repository, "subscriptions", "subscription_usage")

    (contracts,) = recording.sources
    assert (contracts.n_rows, contracts.n_kinds, contracts.refusals.n, contracts.imbalance) == (3_241, 3, 0, 0)
    assert kinds(workload, recording) == {"period_began": 3_241, "price_set": 3_241, "period_ended": 2_879}
    assert contracts.n_none == 362, "periods that end on 2020-09-08 or later: censored"
    assert recording.days[-1].day == day_of("2020-09-07")


@pytest.mark.parametrize("example", ["subscription_usage", "subscriptions", "online_retail", "cdnow"])
def test_the_examples_name_no_place_of_their_data(example: str, repository: Path) -> None:
    workload = load_workload(repository / "examples" / f"{example}.toml")

    assert all(Path(source.path).name == source.path for source in workload.sources)
    assert workload.columns()
