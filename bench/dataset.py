"""The events of the benchmark: a settled population, then one day of its events over all five topics and one tick.

The *prelude* (contracts, profiles, some history, up to the clock of the day's begin) only fills state and is not
measured. The *day* is: about ten events a customer, mostly usage, and the clock record that ends it. Billing, support,
surveys and profiles come from all customers alike; usage is ``uniform`` or ``zipf`` (1.2, bounded). Known times trail
event times by seconds, so the topics interleave as live ones do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from schemas.batch_codec import BatchEncoder, keys_of
from schemas.events import EventBatch
from schemas.partition import partitions_of
from schemas.workload import Workload, load_workload

DAY_MS = 86_400_000
DAY = 20_500  # the measured day, days since the epoch
TENURE_DAYS = (40, 200)  # contracts begin between these many days before it
N_PARTITIONS = 4
KEYS = ("uniform", "zipf")
ZIPF = 1.2

# share of the day's events, and of the topic's kinds
MIX = {"usage": 0.92, "billing": 0.04, "support": 0.02, "survey": 0.01, "profile": 0.01}
KIND_MIX = {
    "usage": {"login": 0.25, "session": 0.55, "export": 0.08, "error": 0.12},
    "billing": {"invoice": 0.45, "payment": 0.45, "payment_failed": 0.06, "plan_change": 0.03, "cancel": 0.01},
    "support": {"ticket_opened": 0.6, "ticket_resolved": 0.4},
    "survey": {"survey_answered": 1.0},
    "profile": {"profile_changed": 1.0},
}
DELAY_MS = {"usage": 3_000, "billing": 60_000, "support": 20_000, "survey": 5_000, "profile": 5_000}

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Log:
    """Records of one topic-partition, in offset order: known times, keys and values."""

    known_ms: Int64s
    keys: list[bytes]
    values: list[bytes]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Prelude and day as batches, one for each topic."""

    workload: Workload
    n_customers: int
    prelude: list[EventBatch]
    day: list[EventBatch]

    @property
    def n_events(self) -> int:
        """Events of the measured day."""
        return sum(map(len, self.day))

    @cached_property
    def logs(self) -> tuple[dict[tuple[str, int], Log], dict[tuple[str, int], Log]]:
        """(prelude, day) as bytes, by topic and partition."""
        return logs_of(self.workload, self.prelude), logs_of(self.workload, self.day)


def create_dataset(keys: str, n_events: int, n_customers: int, seed: int = 1) -> Dataset:
    """The same arguments give the same bytes."""
    workload = load_workload("subscription_churn")
    prelude = _prelude(workload, n_customers, np.random.default_rng([seed, 0]))
    random = np.random.default_rng([seed, 1, KEYS.index(keys)])
    day = [_day_of(workload, topic, keys, round(n_events * share), n_customers, random) for topic, share in MIX.items()]
    return Dataset(workload, n_customers, prelude, day)


def logs_of(workload: Workload, batches: list[EventBatch]) -> dict[tuple[str, int], Log]:
    """Batches as records of topic-partitions."""
    encoder, logs = BatchEncoder(workload), {}
    for batch in batches:
        partitions = partitions_of(batch.customer_id, N_PARTITIONS)
        for partition in range(N_PARTITIONS):
            part = batch.take(np.flatnonzero(partitions == partition))
            logs[batch.topic, partition] = Log(part.known_time_ms, keys_of(part), encoder.encode(part))
    return logs


def customer_ids(numbers: Int64s) -> npt.NDArray[np.object_]:
    """Ids such as ``C00048213``."""
    return np.array([f"C{number:08d}" for number in numbers.tolist()], object)


def _customers(keys: str, n: int, n_customers: int, random: np.random.Generator) -> Int64s:
    if keys == "uniform":
        return random.integers(0, n_customers, n)
    weights = np.arange(1, n_customers + 1) ** -ZIPF
    ranks = random.choice(n_customers, n, p=weights / weights.sum())
    return random.permutation(n_customers)[ranks]


def _day_of(
    workload: Workload, topic: str, keys: str, n: int, n_customers: int, random: np.random.Generator
) -> EventBatch:
    who = _customers(keys if topic == "usage" else "uniform", n, n_customers, random)
    happened = DAY * DAY_MS + np.sort(random.integers(0, DAY_MS - 120_000, n))
    known = happened + random.integers(0, DELAY_MS[topic], n)
    shares = KIND_MIX[topic]
    kinds = random.choice(list(shares), n, p=list(shares.values()))
    return _batch(workload, topic, f"{topic}-day", who, happened, known, kinds, random).sort()


def _prelude(workload: Workload, n: int, random: np.random.Generator) -> list[EventBatch]:
    """A contract and a profile for everyone, then an invoice, a payment, a session and a login."""
    who = np.arange(n)
    begin = DAY * DAY_MS - random.integers(TENURE_DAYS[0] * DAY_MS, TENURE_DAYS[1] * DAY_MS, n)

    def part(topic: str, kind: str, days_ago: float) -> EventBatch:
        at = DAY * DAY_MS - (random.random(n) * days_ago * DAY_MS).astype(np.int64) - 1
        return _batch(workload, topic, f"{topic}-{kind}", who, at, at, np.full(n, kind), random)

    contracts = _batch(workload, "billing", "contract", who, begin, begin, np.full(n, "subscribe"), random)
    profiles = _batch(workload, "profile", "signup", who, begin, begin, np.full(n, "profile_changed"), random)
    billing = EventBatch.concat([contracts, part("billing", "invoice", 20), part("billing", "payment", 10)])
    usage = EventBatch.concat([part("usage", "session", 30), part("usage", "login", 7)])
    return [usage.sort(), billing.sort(), profiles.sort()]


def _batch(
    workload: Workload,
    topic: str,
    name: str,
    who: Int64s,
    happened: Int64s,
    known: Int64s,
    kinds: npt.NDArray[np.str_],
    random: np.random.Generator,
) -> EventBatch:
    declared, n = workload.topic(topic), len(who)
    codes = np.zeros(n, np.int16)
    for kind, code in declared.kind_index.items():
        codes[kinds == kind] = code
    return EventBatch(
        topic=topic,
        event_id=np.array([f"{name}-{i:09d}" for i in range(n)], object),
        customer_id=customer_ids(who),
        event_time_ms=happened,
        known_time_ms=known,
        kind=codes,
        values=_values(workload, topic, kinds, random),
    )


def _values(
    workload: Workload, topic: str, kinds: npt.NDArray[np.str_], random: np.random.Generator
) -> dict[str, npt.NDArray[np.generic]]:
    n = len(kinds)

    def only(column: npt.NDArray[np.float64], *wanted: str) -> npt.NDArray[np.float64]:
        return np.where(np.isin(kinds, wanted), column, np.nan)

    def choice(field: str) -> npt.NDArray[np.object_]:
        declared = workload.topic(topic).field(field)
        assert declared is not None
        return np.array(declared.categories, object)[random.integers(0, len(declared.categories), n)]

    if topic == "usage":
        return {
            "minutes": only(np.round(random.exponential(12, n), 1), "session"),
            "actions": only(random.poisson(20, n).astype(float), "session"),
        }
    if topic == "billing":
        contract = np.isin(kinds, ("subscribe", "plan_change"))
        return {
            "amount": only(np.round(random.gamma(4, 12, n), 2), "invoice", "payment", "payment_failed"),
            "price": np.where(contract, random.choice([9.0, 29.0, 99.0], n), np.nan),
            "plan": np.where(contract, choice("plan"), None),
        }
    if topic == "support":
        return {
            "sentiment": only(np.round(random.uniform(-1, 1, n), 3), "ticket_opened"),
            "severity": only(random.integers(1, 5, n).astype(float), "ticket_opened"),
        }
    if topic == "survey":
        return {"csat": np.round(random.uniform(1, 5, n), 1)}
    seats = random.integers(1, 50, n).astype(float)
    return {"country": choice("country"), "channel": choice("channel"), "seats": seats}
