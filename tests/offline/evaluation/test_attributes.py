"""The newest value that was known before a moment, against a slow look at every event."""

import numpy as np
import pytest

from offline.errors import OfflineError
from offline.evaluation.attributes import attributes_of, find_field, newest_known
from schemas.events import EventBatch
from schemas.workload import Workload
from tests.offline.evaluation.rows import DAY_MS, made_rows


@pytest.mark.parametrize("seed", range(10))
def test_newest_known_equals_a_slow_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(0, 60)), 40
    code, event = rng.integers(0, 5, n), rng.permutation(1_000)[:n]
    known, value = event + rng.integers(0, 200, n), rng.integers(0, 9, n).astype(np.float64)
    asked, at = rng.integers(0, 6, m), rng.integers(-50, 1_300, m)
    expected = []
    for customer, moment in zip(asked, at, strict=True):
        seen = [i for i in range(n) if code[i] == customer and known[i] < moment]
        expected.append(value[max(seen, key=lambda i: event[i])] if seen else np.nan)
    np.testing.assert_array_equal(newest_known(code, event, known, value, asked, at), expected)


def _profile(customers: list[str], days: list[int], countries: list[str | None], seats: list[float]) -> EventBatch:
    ms = np.array(days, np.int64) * DAY_MS
    values = {"country": np.array(countries, object), "seats": np.array(seats)}
    ids = [f"e{i}" for i in range(len(days))]
    return EventBatch("profile", np.array(ids), np.array(customers), ms, ms, np.zeros(len(days), np.int16), values)


def test_fields_that_are_no_features_tell_groups_apart_as_known_then(workload: Workload) -> None:
    rows = made_rows(4)  # customers 0 and 1, each on days 20000 and 20007
    moved = _profile(
        ["customer-0", "customer-0", "customer-1", "stranger"],
        [19_990, 20_003, 20_007, 19_000],
        ["DE", "FR", "XX", "US"],
        [1.0, 9.0, 5.0, 2.0],
    )
    found = attributes_of(["country", "seats", "plan"], workload, rows, [moved])
    country = found["country"]
    assert [country.names[i] for i in country.place] == ["DE", "FR", "missing", "missing"]  # known on the day: too late
    assert found["plan"].names[:3] == ("basic", "plus", "pro")
    assert found["seats"].names[-1] == "missing"


def test_features_do_not_need_the_history(workload: Workload) -> None:
    def never() -> object:
        raise AssertionError("read")
        yield

    assert set(attributes_of(["plan"], workload, made_rows(10), never())) == {"plan"}


def test_unknown_attributes_are_refused(workload: Workload) -> None:
    with pytest.raises(OfflineError, match="--protected colour: neither a feature nor a field of an event; fields are"):
        find_field(workload, "colour")
    assert find_field(workload, "profile.country")[0] == "profile"
