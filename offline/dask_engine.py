"""The same work on a Dask cluster, one share of the customers a task: training sets, boosted trees, batch scores.

The only module that touches Dask. Rows and scores are those of one process, bit for bit. Trees are those of another
seed, as each worker samples rows on its own; without sampling they are the same. The lake must lie where all workers
see it. Long because it is that only module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from offline.customer_shares import AwayFromHomeError, Share, shares_by_hash, shares_by_partition
from offline.errors import EmptyLakeError, LabelError, OfflineError
from offline.history import History, read_stretches
from offline.metrics import Floats
from offline.models import MAX_ROUNDS, PATIENCE, BoostedTrees, Matrix
from offline.scoring.run import ScoringJob
from offline.training_set import LocalReading, Span
from schemas.errors import DriftlineError
from schemas.lake import Lake
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.recording import Rows

LOCAL_WORKERS = 2
LOOPBACK = "127.0.0.1"
WAIT_S = 10  # for a scheduler to answer


@dataclass(frozen=True)
class Cluster:
    """A client of a cluster.

    Parameters
    ----------
    is_local
        Its processes are of this machine, and listen on loopback alone.
    """

    client: Any
    is_local: bool

    @property
    def n_workers(self) -> int:
        """Workers at the moment."""
        return max(1, len(self.client.scheduler_info(n_workers=-1)["workers"]))

    def submit(self, work: Callable[..., Any], *given: Any) -> Any:
        """A future of ``work(*given)``; futures among what is given stand for what they come to."""
        return self.client.submit(work, *given, pure=False)

    def map(self, work: Callable[[Any], Any], futures: Sequence[Any]) -> list[Any]:
        """Futures of ``work`` on what others come to."""
        return [self.submit(work, future) for future in futures]

    def reading(self, lake: Lake, workload: Workload, n_partitions: int, until_known_ms: int | None) -> SharedReading:
        """The history of a lake, read by shares."""
        return SharedReading(self, lake, workload, n_partitions, until_known_ms)

    def new_trees(self, n_threads: int, seed: int, params: Mapping[str, Any]) -> SharedTrees:
        """Untrained trees of all workers."""
        return SharedTrees(self, n_threads, seed, params)


@contextmanager
def create_cluster(scheduler: str | None = None, n_workers: int = LOCAL_WORKERS) -> Iterator[Cluster]:
    """A cluster to work on: the one of a scheduler, or processes of this machine for the time being.

    Raises
    ------
    OfflineError
        When Dask is missing, or no scheduler answers.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as cause:
        raise OfflineError("--engine dask needs Dask: install driftline with the extra `dask`") from cause
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=WAIT_S)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as cause:
            raise OfflineError(f"no Dask scheduler answers at {scheduler}: {cause}") from cause
        with client:
            yield Cluster(client, is_local=False)
        return
    with (
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=n_workers,
            threads_per_worker=1,
            host=LOOPBACK,
            dashboard_address=None,
            worker_dashboard_address=None,
        ) as local,
        Client(local) as client,  # type: ignore[no-untyped-call]
    ):
        yield Cluster(client, is_local=True)


@dataclass(frozen=True)
class Failed:
    """What a task answers instead of raising: a cluster would log it on every machine and lose its class.

    Parameters
    ----------
    is_away
        Customers do not keep to their partitions; another way of sharing them works.
    """

    message: str
    is_away: bool


def _told(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except DriftlineError as error:
        return Failed(str(error), isinstance(error, AwayFromHomeError))


def by_shares(
    cluster: Cluster, lake: Lake, workload: Workload, n_partitions: int, submit: Callable[[Share], Any]
) -> list[Any]:
    """Futures of a task for each share, all of them done: shares by partitions, or else by hash.

    Raises
    ------
    OfflineError
        When a task failed.
    """
    n = cluster.n_workers
    for shares in (shares_by_partition(lake, workload, n_partitions, n), shares_by_hash(n)):
        futures = [submit(share) for share in shares]
        failed = [one for one in cluster.client.gather(cluster.map(_failure_of, futures)) if one is not None]
        if not failed:
            return futures
        if not all(one.is_away for one in failed):
            break
    raise OfflineError(next(one.message for one in failed if not one.is_away))


def _failure_of(answer: Any) -> Failed | None:
    return answer if isinstance(answer, Failed) else None


# ---- training sets --------------------------------------------------------------------------------------


class SharedReading:
    """A history read by shares of the customers; what was read stays on the workers until rows are asked for.

    Parameters
    ----------
    n_partitions
        Of the topics that the lake was filled from.
    """

    def __init__(
        self, cluster: Cluster, lake: Lake, workload: Workload, n_partitions: int, until_known_ms: int | None = None
    ) -> None:
        self._cluster, self._lake, self._workload, self._until_ms = cluster, lake, workload, until_known_ms
        self._n_partitions = n_partitions
        self._read: list[Any] = []

    def span(self) -> Span:
        """What the shares say together."""

        def submit(share: Share) -> Any:
            return self._cluster.submit(_read_share, str(self._lake.root), self._workload.text, self._until_ms, share)

        self._read = by_shares(self._cluster, self._lake, self._workload, self._n_partitions, submit)
        found = self._cluster.client.gather(self._cluster.map(_span_of, self._read))
        there = [span for span in found if span is not None]
        if not there:
            raise EmptyLakeError(self._lake.root)
        first, last = min(span.first_known_ms for span in there), max(span.last_known_ms for span in there)
        return Span(first, last, sum(span.n_events for span in there))

    def rows(self, days: Sequence[int], event_share: float, seed: int, known_until_ms: int) -> tuple[Rows, Floats]:
        """The rows of all shares, one after the other."""
        asked = list(days), event_share, seed, known_until_ms
        parts = self._cluster.client.gather([self._cluster.submit(_rows_of, one, *asked) for one in self._read])
        self._read = []
        found = [part for part in parts if part is not None]
        return Rows.concat([rows for rows, _ in found]), np.concatenate([y for _, y in found])


def _read_share(lake_dir: str, text: str, until_ms: int | None, share: Share) -> Any:
    """A share that is read and ready for rows; None when it has no events."""

    def read() -> tuple[LocalReading, Span] | None:
        workload = parse_workload(text)
        reading = LocalReading(workload, History(Lake(Path(lake_dir)), workload, until_ms, share=share))
        try:
            return reading, reading.span()
        except (LabelError, EmptyLakeError):
            return None

    return _told(read)


def _span_of(read: tuple[LocalReading, Span] | None) -> Span | None:
    return None if read is None else read[1]


def _rows_of(
    read: tuple[LocalReading, Span] | None, days: list[int], event_share: float, seed: int, known_until_ms: int
) -> tuple[Rows, Floats] | None:
    return None if read is None else read[0].rows(days, event_share, seed, known_until_ms)


# ---- trees ----------------------------------------------------------------------------------------------


class SharedTrees(BoostedTrees):
    """XGBoost over all workers of a cluster, rows by customer.

    Parameters
    ----------
    cluster
        Each of its workers grows the same trees on a part of the rows.
    """

    def __init__(
        self, cluster: Cluster, n_threads: int = 1, seed: int = 0, params: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(n_threads, seed, params)
        self._cluster = cluster

    def best_n_rounds(
        self, X: Matrix, y: Floats, X_later: Matrix, y_later: Floats, weight: Floats | None = None
    ) -> int:
        """As of `BoostedTrees`."""
        return int(self._train(X, y, weight, MAX_ROUNDS, (X_later, y_later)).best_iteration) + 1

    def fit(self, X: Matrix, y: Floats, n_rounds: int, weight: Floats | None = None) -> BoostedTrees:
        """As of `BoostedTrees`."""
        self.booster = self._train(X, y, weight, n_rounds, None)
        return self

    def _train(
        self, X: Matrix, y: Floats, weight: Floats | None, n_rounds: int, later: tuple[Matrix, Floats] | None
    ) -> Any:
        from xgboost import collective
        from xgboost import dask as shared

        matrix = self._matrix(binned(X, weight, int(self._params["max_bin"])), y, weight)
        watched: dict[str, Any] = {}
        if later is not None:
            watched = {"evals": [(self._matrix(*later), "later")], "early_stopping_rounds": PATIENCE}
        where = collective.Config(tracker_host_ip=LOOPBACK) if self._cluster.is_local else None
        base = float(np.clip(y.mean(), 1e-6, 1.0 - 1e-6))
        done = shared.train(
            self._cluster.client,
            self._params | {"base_score": base},
            matrix,
            n_rounds,
            verbose_eval=False,
            coll_cfg=where,
            **watched,
        )
        return done["booster"]

    def _matrix(self, X: Matrix, y: Floats, weight: Floats | None = None) -> Any:
        import dask.array
        from xgboost import dask as shared

        array: Any = dask.array.from_array
        size = -(-len(X) // self._cluster.n_workers)
        data = array(np.ascontiguousarray(X, np.float32), chunks=(size, X.shape[1]))
        column = {"label": y} if weight is None else {"label": y, "weight": weight}
        shares = {name: array(np.ascontiguousarray(values), chunks=size) for name, values in column.items()}
        names = [f"f{j}" for j in range(X.shape[1])]
        return shared.DaskDMatrix(self._cluster.client, data, feature_names=names, **shares)


def binned(X: Matrix, weight: Floats | None, max_bin: int) -> Matrix:
    """Each value as the lower end of its bin, the bins being those of one process; trees split the same values.

    Workers who cut their own parts into bins and merge them come to others, and to other trees.
    """
    import xgboost as xgb

    ends, cuts = xgb.QuantileDMatrix(X, weight=weight, max_bin=max_bin, nthread=1).get_quantile_cut()
    found = np.array(X, np.float32)
    for j in range(X.shape[1]):
        seen = np.flatnonzero(np.isfinite(X[:, j]))
        if len(seen):
            upper = cuts[ends[j] : ends[j + 1]]
            lower = np.concatenate([[X[seen, j].min()], upper[:-1]])
            place = np.searchsorted(upper, X[seen, j], side="right")
            found[seen, j] = lower[np.minimum(place, len(lower) - 1)]
    return found


# ---- batch scores ---------------------------------------------------------------------------------------


def scored_tables(cluster: Cluster, n_partitions: int, job: ScoringJob) -> Iterator[pa.Table]:
    """The tables of a scoring job, share by share."""
    lake, n = Lake(job.lake_dir), 0
    futures = by_shares(
        cluster, lake, job.workload, n_partitions, lambda share: cluster.submit(_score_share, job, share)
    )
    for future in futures:
        table = future.result()
        if table is not None:
            n += 1
            yield table
    if not n:
        raise EmptyLakeError(lake.root)


def _score_share(job: ScoringJob, share: Share) -> Any:
    """The scores of a share; None when it has no events."""

    def score() -> pa.Table | None:
        try:
            stretches = read_stretches(Lake(job.lake_dir), job.workload, job.shared.as_of_ms, share=share)
        except EmptyLakeError:
            return None
        tables = list(job.tables(stretches))
        return pa.concat_tables(tables) if tables else job.nothing()

    return _told(score)
