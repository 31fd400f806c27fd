"""Batch scores are the stream's tick scores, bit for bit, wherever they go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offline.errors import EmptyLakeError, UnknownVersionError
from offline.registry import Registry
from offline.scoring.errors import ScoringError
from offline.scoring.run import ScoringJob, ScoringOptions, create_job, score
from offline.scoring.score_file import create_score_file
from schemas.bundle import Bundle
from schemas.codec import Codec
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.workload import Workload, load_workload
from stream_app import opcodes as op
from stream_app.model import BoosterModel
from stream_app.plan import Plan
from stream_app.releases import ActiveModel, ModelSchedule
from tests.lives import tangled_events, with_silences
from tests.offline.past import FIRST_DAY, write_model
from tests.streams import DAY_MS, Driver, Logs, new_task

AS_OF = FIRST_DAY + 40
N_PARTITIONS = 3


@dataclass(frozen=True)
class Shop:
    """Events, the lake that holds them, and a champion."""

    settings: Settings
    plan: Plan
    batches: list[EventBatch]
    bundle: Bundle


@pytest.fixture(scope="module")
def shop(fill: Any, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    settings = Settings(home=tmp_path_factory.mktemp("shop"))
    plan = Plan.from_workload(load_workload("subscription_churn"))
    batches = with_silences(tangled_events(plan.workload, 500, 150, 3), 150, 3)
    fill(Lake(settings.lake_dir), plan.workload, batches)
    bundle = write_model(settings, plan, batches, "v0001", 1)
    Registry(settings.models_dir, plan.workload.name).set_alias("champion", "v0001")
    return Shop(settings, plan, batches, bundle)


def streamed(shop: Shop, day: int) -> dict[str, dict[str, Any]]:
    """The records of the tick of a day that the stream publishes, by customer."""
    workload, found = shop.plan.workload, {}
    logs = Logs(workload, N_PARTITIONS).write(shop.batches)
    codec = Codec(FileRegistry.for_workload(workload))
    model = BoosterModel("v0001", shop.bundle.files, shop.plan)
    for partition in range(N_PARTITIONS):
        schedule = ModelSchedule(ActiveModel(model), [(0, ActiveModel(model))])
        driver = Driver(logs, new_task(shop.plan, partition, N_PARTITIONS, schedule), partition, 60).run()
        for _, value in driver.records("scores"):
            record = codec.decode(value, "score")
            if record["row_kind"] == "tick" and record["as_of_ms"] == day * DAY_MS:
                found[record["customer_id"]] = record
    return found


def scored(shop: Shop, path: Path, day: int = AS_OF, n_reasons: int = 0) -> dict[str, dict[str, Any]]:
    score(shop.settings, shop.plan.workload, "champion", ScoringOptions(day, path, n_reasons=n_reasons))
    return {row["customer_id"]: row for row in pq.read_table(path).to_pylist()}


def test_scores_are_those_of_the_streams_tick(shop: Shop, tmp_path: Path) -> None:
    online, offline = streamed(shop, AS_OF), scored(shop, tmp_path / "scores.parquet")
    assert len(offline) > 10
    assert online.keys() == offline.keys()
    for customer, record in online.items():
        row = offline[customer]
        assert np.float32(row["churn_risk"]).tobytes() == np.float32(record["score"]).tobytes()
        assert (row["band"], row["model_version"]) == (record["band"], record["model_version"])
        assert row["workload_hash"] == record["workload_hash"]
        assert row["as_of"].timestamp() * 1000 == record["as_of_ms"]
    assert len({row["band"] for row in offline.values()}) == 2


def test_the_newest_event_is_the_newest_that_was_known(shop: Shop, tmp_path: Path) -> None:
    newest: dict[str, int] = {}
    for batch in shop.batches:
        for customer, happened, known in zip(
            batch.customer_id, batch.event_time_ms.tolist(), batch.known_time_ms.tolist(), strict=True
        ):
            if known < AS_OF * DAY_MS:
                newest[customer] = max(newest.get(customer, 0), happened)
    for customer, row in scored(shop, tmp_path / "scores.parquet").items():
        assert round(row["newest_event_time"].timestamp() * 1000) == newest[customer]


def test_reasons_are_those_of_the_model(shop: Shop, tmp_path: Path) -> None:
    job = create_job(shop.settings, shop.bundle, ScoringOptions(AS_OF))
    with_reasons = scored(shop, tmp_path / "scores.parquet", n_reasons=3)
    without = scored(shop, tmp_path / "scores.parquet")
    model = BoosterModel("v0001", shop.bundle.files, shop.plan)
    from offline.history import read_stretches
    from stream_app.recording import tick_rows

    rows = tick_rows(shop.plan, read_stretches(Lake(job.lake_dir), job.workload, AS_OF * DAY_MS), [AS_OF])
    for customer, reasons in zip(rows.customer_id, model.explain(rows.X, 3), strict=True):
        found = with_reasons[customer].pop("reasons")
        assert [reason["feature"] for reason in found] == [reason.feature for reason in reasons]
        assert [reason["contribution"] for reason in found] == [reason.contribution for reason in reasons]
        np.testing.assert_array_equal([r["value"] for r in found], [r.value for r in reasons])
    assert with_reasons == without


def test_a_file_is_there_whole_or_not_at_all(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    before = scored(shop, path)
    job = create_job(shop.settings, shop.bundle, ScoringOptions(AS_OF - 1))

    def breaks(job: ScoringJob) -> Any:
        yield from job.tables()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(shop.settings, shop.plan.workload, "v0001", ScoringOptions(AS_OF - 1, path), tables_of=breaks)
    assert {row["customer_id"]: row for row in pq.read_table(path).to_pylist()} == before
    with create_score_file(path, job.shared, "id") as sink:
        for table in job.tables():
            sink.write(table)
    assert pa.concat_tables(list(job.tables())).equals(pq.read_table(path).cast(next(job.tables()).schema))
    assert pq.read_metadata(path).metadata[b"bundle_id"] == b"id"


def test_a_day_before_the_lake_has_nothing_to_score(shop: Shop) -> None:
    with pytest.raises(ScoringError, match=r"nothing was known before 2020-01-01: lake .* holds events of 2025-"):
        score(shop.settings, shop.plan.workload, "v0001", ScoringOptions(18_262))


def test_an_unknown_version_names_those_there(shop: Shop) -> None:
    with pytest.raises(UnknownVersionError, match="no model version 'v0009'; versions there: v0001"):
        score(shop.settings, shop.plan.workload, "v0009", ScoringOptions(AS_OF))


def test_an_empty_lake_says_so(shop: Shop, tmp_path: Path) -> None:
    settings, workload = Settings(home=tmp_path), shop.plan.workload
    write_model(settings, shop.plan, shop.batches, "v0001", 1)
    with pytest.raises(EmptyLakeError, match="driftline ingest"):
        score(settings, workload, "v0001", ScoringOptions(AS_OF))
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_customer_who_has_left_gets_no_score(shop: Shop, workload: Workload, tmp_path: Path) -> None:
    cancelled = {
        str(customer)
        for batch in shop.batches
        if batch.topic == "billing"
        for customer, kind, known in zip(batch.customer_id, batch.kind, batch.known_time_ms, strict=True)
        if workload.topic("billing").kinds[kind].name == "cancel" and known < AS_OF * DAY_MS
    }
    everyone = {str(customer) for batch in shop.batches for customer in batch.customer_id}
    found = scored(shop, tmp_path / "scores.parquet").keys()
    assert cancelled - found
    assert everyone > found
    assert op.TICK == 0
