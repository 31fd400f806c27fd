"""Training sets, trees and scores of a Dask cluster on loopback: those of one process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from offline.customer_shares import AwayFromHomeError, Share, shares_by_hash, shares_by_partition
from offline.cutoffs import Cutoffs, choose_cutoffs
from offline.errors import EmptyLakeError, OfflineError
from offline.evaluate import evaluate
from offline.history import History, read_stretches
from offline.packaging import core_files, scores_of
from offline.scoring.run import ScoringJob
from offline.scoring.scores import ScoredAs
from offline.train import Trained, train
from offline.training_set import Span, TrainingSet, assemble, build_training_set
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.workload import Workload
from stream_app.model import BoosterModel
from tests.offline.conftest import FIRST_DAY, make_company
from tests.offline.test_stretches import fill

pytest.importorskip("distributed", reason="Dask is not installed: nothing is proven of --engine dask")

from offline.dask_engine import Cluster, by_shares, create_cluster, scored_tables

N_PARTITIONS = 2
pytestmark = pytest.mark.filterwarnings("ignore:::distributed", "ignore:::dask")


def split(span: Span) -> Cutoffs:
    return choose_cutoffs(span.first_day, span.known_until_day, 30)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with create_cluster(n_workers=2) as found:
            yield found


@pytest.fixture(scope="module")
def events(workload: Workload) -> list[EventBatch]:
    return make_company(workload, 500, 200)


@pytest.fixture(scope="module")
def lake(workload: Workload, events: list[EventBatch], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake(tmp_path_factory.mktemp("shared") / "lake")
    fill(made, workload, events, slice_events=100_000)
    return made


@pytest.fixture(scope="module")
def local(lake: Lake, workload: Workload) -> TrainingSet:
    return build_training_set(workload, History(lake, workload), split)


@pytest.fixture(scope="module")
def trained(local: TrainingSet) -> Trained:
    return train(local)


def same(a: TrainingSet, b: TrainingSet) -> None:
    assert a.span == b.span
    assert a.cutoffs == b.cutoffs
    assert a.rows.customer_id.tolist() == b.rows.customer_id.tolist()
    for name in ("as_of_ms", "kind"):
        assert np.array_equal(getattr(a.rows, name), getattr(b.rows, name)), name
    assert np.array_equal(a.rows.X.view(np.uint32), b.rows.X.view(np.uint32))
    np.testing.assert_array_equal(a.y, b.y)


def test_a_training_set_of_shares_is_that_of_one_process(
    cluster: Cluster, lake: Lake, workload: Workload, local: TrainingSet
) -> None:
    for n_partitions in (N_PARTITIONS, 7):  # of 7 the lake knows nothing: then shares are by hash
        made = assemble(workload, cluster.reading(lake, workload, n_partitions, None), split)
        same(made, local)


def test_shares_split_the_customers(lake: Lake, workload: Workload, events: list[EventBatch]) -> None:
    everyone = {str(customer) for batch in events for customer in batch.customer_id}
    for shares in (shares_by_partition(lake, workload, N_PARTITIONS, 4), shares_by_hash(3)):
        found: list[str] = []
        for share in shares:
            stretches = read_stretches(lake, workload, share=share)
            found += {k.decode() for s in stretches for k in s.columns.take(s.order).customers().to_bytes()}
        assert sorted(found) == sorted(everyone)
    assert [share.partitions for share in shares_by_partition(lake, workload, N_PARTITIONS, 2)] == [(0,), (1,)]


def test_a_lake_whose_customers_are_not_at_home_is_shared_by_hash(
    lake: Lake, workload: Workload, tmp_path: Path
) -> None:
    with pytest.raises(AwayFromHomeError, match="belongs to another of 5 partitions"):
        list(read_stretches(lake, workload, share=Share((0,), 5)))
    asked: list[Any] = []

    def work(shares: Any) -> list[Any]:
        asked.append(shares)
        if shares[0].partitions is not None:
            raise AwayFromHomeError(tmp_path, 5)
        return []

    class Two:
        n_workers = 2

    by_shares(Two(), lake, workload, 5, work)  # type: ignore[arg-type]
    assert asked == [shares_by_partition(lake, workload, 5, 2), shares_by_hash(2)]


def test_trees_of_a_cluster_rank_as_those_of_one_process(
    cluster: Cluster, local: TrainingSet, trained: Trained
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = train(local, new_trees=cluster.new_trees)
    found = {}
    for name, one in (("local", trained), ("cluster", made)):
        rows = local.fold("test")
        scores = scores_of(BoosterModel(name, core_files(local, one), local.plan), local, rows)
        found[name] = evaluate(local, rows, scores, one.thresholds, one.logistic, 0.1)["rows"]["tick"]["roc_auc"][
            "value"
        ]
    print(found, trained.n_rounds, made.n_rounds)
    assert found["cluster"] == pytest.approx(found["local"], abs=1e-3)


def test_scores_of_a_cluster_are_those_of_one_process(
    cluster: Cluster, lake: Lake, workload: Workload, local: TrainingSet, trained: Trained
) -> None:
    shared = ScoredAs(FIRST_DAY + 150, "v0001", workload.hash[:16], trained.thresholds[0], n_reasons=2)
    job = ScoringJob(lake.root, workload.text, core_files(local, trained), shared)
    alone = pa.concat_tables(list(job.tables())).sort_by("customer_id")
    assert len(alone) > 200
    for n_partitions in (N_PARTITIONS, 7):
        together = pa.concat_tables(list(scored_tables(cluster, n_partitions, job))).sort_by("customer_id")
        assert together.equals(alone)


def test_an_empty_lake_and_a_silent_scheduler_say_so(cluster: Cluster, workload: Workload, tmp_path: Path) -> None:
    with pytest.raises(EmptyLakeError):
        cluster.reading(Lake(tmp_path), workload, 2, None).span()
    with (
        pytest.raises(OfflineError, match="no Dask scheduler answers at tcp://127"),
        create_cluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    psutil = pytest.importorskip("psutil")
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [
        one.laddr.ip for process in ours for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) <= {"127.0.0.1", "::1"}
