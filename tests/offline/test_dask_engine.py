"""Training sets, trees and scores of a Dask cluster on loopback: those of one process."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from offline.customer_shares import AwayFromHomeError, Share, shares_by_hash, shares_by_partition
from offline.cutoffs import Cutoffs, choose_cutoffs
from offline.errors import EmptyLakeError, OfflineError
from offline.history import History, read_stretches
from offline.models import BoostedTrees
from offline.scoring.run import ScoringJob
from offline.scoring.scores import ScoredAs
from offline.training_options import TrainingOptions
from offline.training_run import train_version
from offline.training_set import Span, TrainingSet, assemble, build_training_set
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from tests.offline.lakes import fill

pytest.importorskip("distributed", reason="Dask is not installed: nothing is proven of --engine dask")

from offline import dask_engine, models
from offline.dask_engine import Cluster, SharedTrees, create_cluster, scored_tables

N_PARTITIONS = 2
FIRST_DAY = 19_700  # of a company
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
def events(workload: Workload, company: Any) -> list[EventBatch]:
    made: list[EventBatch] = company(workload, 250, 145)
    return made


@pytest.fixture(scope="module")
def lake(workload: Workload, events: list[EventBatch], tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake(tmp_path_factory.mktemp("shared") / "lake")
    fill(made, workload, events, N_PARTITIONS)
    return made


@pytest.fixture(scope="module")
def local(lake: Lake, workload: Workload) -> TrainingSet:
    return build_training_set(workload, History(lake, workload), split)


def model_files(training: TrainingSet) -> dict[str, bytes]:
    """A model of a few trees, as a bundle holds it."""
    rows = training.fold("fit")
    trees = BoostedTrees().fit(training.rows.X[rows], training.y[rows], 20)
    kinds = ("tick", "event", "urgent")
    return {
        "model.ubj": trees.save(),
        "calibration.json": json.dumps({kind: {"a": 1.0, "b": 0.0} for kind in kinds}).encode(),
        "threshold.json": json.dumps(dict.fromkeys(kinds, 0.1)).encode(),
    }


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


def test_a_customer_in_another_partition_than_the_key_says_is_found(lake: Lake, workload: Workload) -> None:
    with pytest.raises(AwayFromHomeError, match="belongs to another of 5 partitions"):
        list(read_stretches(lake, workload, share=Share((0,), 5)))


def test_trees_of_a_cluster_rank_as_those_of_one_process(
    cluster: Cluster, local: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without sampling of rows, which each worker does on its own."""
    monkeypatch.setattr(dask_engine, "MAX_ROUNDS", 50)
    monkeypatch.setattr(models, "MAX_ROUNDS", 50)
    rows, later, tested = local.fold("fit", "between"), local.fold("later"), local.fold("test")
    X, y = local.rows.X, local.y
    scores, n_rounds = {}, {}
    for name, trees in (("local", BoostedTrees()), ("cluster", SharedTrees(cluster))):
        trees._params = trees._params | {"subsample": 1.0}
        n_rounds[name] = trees.best_n_rounds(X[rows], y[rows], X[later], y[later])
        scores[name] = trees.fit(X[rows], y[rows], 30, np.ones(rows.sum())).margin(X[tested])
    aucs = {name: roc_auc_score(y[tested], score) for name, score in scores.items()}
    assert aucs["cluster"] == pytest.approx(aucs["local"], abs=1e-3)
    assert aucs["local"] > 0.6
    assert n_rounds["cluster"] == pytest.approx(n_rounds["local"], rel=0.1)


def test_a_version_trained_on_a_cluster_is_written_like_any_other(
    cluster: Cluster, lake: Lake, workload: Workload, local: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_engine, "MAX_ROUNDS", 10)
    settings = Settings(home=lake.root.parent, partitions=N_PARTITIONS)
    bundle = train_version(settings, workload, TrainingOptions(), cluster=cluster)
    assert bundle.manifest.data_window["n_events"] == local.span.n_events
    assert bundle.json("evaluation.json")["training"]["n_rows"] == int(local.fold("fit", "between", "later").sum())


def test_scores_of_a_cluster_are_those_of_one_process(
    cluster: Cluster, lake: Lake, workload: Workload, local: TrainingSet
) -> None:
    shared = ScoredAs(FIRST_DAY + 110, "v0001", workload.hash[:16], 0.1, n_reasons=2)
    job = ScoringJob(lake.root, workload.text, model_files(local), shared)
    alone = pa.concat_tables(list(job.tables())).sort_by("customer_id")
    assert len(alone) > 100
    for n_partitions in (N_PARTITIONS, 7):
        together = pa.concat_tables(list(scored_tables(cluster, n_partitions, job))).sort_by("customer_id")
        assert together.equals(alone)


def test_a_broken_or_empty_lake_and_a_silent_scheduler_say_so(
    cluster: Cluster, workload: Workload, company: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_engine, "WAIT_S", 1)
    broken = Lake(tmp_path / "broken")
    fill(broken, workload, company(workload, 3, 3), N_PARTITIONS)
    broken.files("usage")[0].write_bytes(b"PAR1")
    with pytest.raises(OfflineError, match=r"lake .*parquet: cannot be read"):
        cluster.reading(broken, workload, N_PARTITIONS, None).span()
    with pytest.raises(EmptyLakeError):
        cluster.reading(Lake(tmp_path), workload, 2, None).span()
    with (
        pytest.raises(OfflineError, match="no Dask scheduler answers at tcp://127"),
        create_cluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_a_scheduler_is_reached_by_its_address(cluster: Cluster) -> None:
    with create_cluster(cluster.client.scheduler.address) as found:
        assert (found.n_workers, found.is_local) == (2, False)


def test_nothing_listens_beyond_loopback(cluster: Cluster) -> None:
    psutil = pytest.importorskip("psutil")
    ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = [
        one.laddr.ip for process in ours for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN
    ]
    assert listening
    names = {ip.removeprefix("::ffff:") for ip in listening}  # a JVM that another test started listens as IPv6
    assert names <= {"127.0.0.1", "::1"}
