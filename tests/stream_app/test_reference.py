"""Reference profiles: bins, floors, files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from stream_app.bins import N_EDGES, equal_mass_edges, histograms, padded_edges, score_bins
from stream_app.drift import DAY_MS, psi
from stream_app.errors import ReferenceInvalid
from stream_app.reference import Reference


@dataclass(frozen=True)
class Column:
    name: str
    is_categorical: bool = False
    is_ageing: bool = False
    is_calendar: bool = False


COLUMNS = (Column("minutes"), Column("plan", is_categorical=True), Column("tenure", is_ageing=True))


def _rows(n_days: int = 21, n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    minutes = rng.gamma(2.0, 30.0, n_days * n)
    minutes[::17] = np.nan
    X = np.stack([minutes, rng.integers(0, 4, n_days * n), np.repeat(np.arange(n_days), n) * 1.0], axis=1)
    scores = rng.beta(1, 9, n_days * n)
    y = (rng.random(n_days * n) < scores).astype(np.int8)
    return X.astype(np.float32), np.repeat(np.arange(100, 100 + n_days), n) * DAY_MS, scores, y


def _build(**changes: object) -> Reference:
    X, as_of_ms, scores, y = _rows(**changes)  # type: ignore[arg-type]
    return Reference.build(COLUMNS, X, as_of_ms, scores, y, horizon_days=30)


def test_a_bin_is_the_number_of_edges_at_or_below_the_value_and_missing_is_the_last() -> None:
    edges = padded_edges([(1.0, 2.0)])
    X = np.array([[0.5], [1.0], [1.5], [2.0], [9e9], [np.nan]], dtype=np.float32)
    assert histograms(edges, X).tolist() == [[1, 2, 2, 0, 0, 0, 0, 0, 0, 0, 1]]


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=200))
def test_edges_rise_occur_among_the_values_and_leave_no_inner_bin_empty(values: list[float]) -> None:
    column = np.array(values, dtype=np.float32)
    edges = equal_mass_edges(column)
    assert len(edges) <= N_EDGES
    assert list(edges) == sorted(set(edges))
    assert set(edges) <= set(column.tolist())
    counts = histograms(padded_edges([edges]), column[:, None])[0]
    assert (counts[: len(edges) + 1] > 0).all()
    assert counts.sum() == len(values)


def test_continuous_values_fall_into_ten_equal_bins() -> None:
    values = np.random.default_rng(1).normal(size=10_000).astype(np.float32)
    counts = histograms(padded_edges([equal_mass_edges(values)]), values[:, None])[0]
    assert abs(counts[:10] - 1000).max() <= 10


def test_a_column_that_is_mostly_zero_keeps_bins_for_its_tail() -> None:
    rng = np.random.default_rng(2)
    values = np.where(rng.random(10_000) < 0.95, 0.0, rng.gamma(2, 10, 10_000)).astype(np.float32)
    assert len(equal_mass_edges(values)) == N_EDGES


def test_a_category_has_a_bin_per_code_even_for_codes_not_in_the_reference() -> None:
    reference = _build()
    X = np.array([[1.0, 7.0, 0.0], [1.0, 12.0, 0.0]], dtype=np.float32)
    plan = reference.histograms(X)[1]
    assert plan[7] == 1
    assert plan[9] == 1


def test_a_column_without_values_is_all_missing() -> None:
    X, as_of_ms, scores, y = _rows()
    X[:, 0] = np.nan
    reference = Reference.build(COLUMNS, X, as_of_ms, scores, y, horizon_days=30)
    assert reference.features[0].edges == ()
    assert reference.features[0].counts[10] == reference.n_rows


def test_only_whole_weeks_count_and_counts_are_those_of_the_rows() -> None:
    reference = _build(n_days=17)
    assert (reference.first_day, reference.last_day, reference.n_rows) == (103, 116, 14 * 300)
    assert all(profile.counts.sum() == 14 * 300 for profile in (*reference.features, reference.score))


def test_the_noise_floor_is_the_largest_distance_of_a_week_from_the_whole() -> None:
    X, as_of_ms, scores, y = _rows()
    X[as_of_ms >= 114 * DAY_MS, 0] *= 1.6
    reference = Reference.build(COLUMNS, X, as_of_ms, scores, y, horizon_days=30)
    weeks = (as_of_ms // DAY_MS - 100) // 7
    by_week = [reference.histograms(X[weeks == week])[0] for week in range(3)]
    expected = max(float(psi(reference.features[0].counts, week)) for week in by_week)
    assert reference.features[0].psi_floor == pytest.approx(expected)
    assert expected > 0.05 > reference.features[1].psi_floor


def test_expected_auc_is_that_of_the_binned_scores_and_close_to_the_unbinned() -> None:
    X, as_of_ms, scores, y = _rows()
    reference = Reference.build(COLUMNS, X, as_of_ms, scores, y, horizon_days=30)
    assert reference.auc.value == pytest.approx(roc_auc_score(y, score_bins(scores)))
    assert reference.auc.low < roc_auc_score(y, scores) < reference.auc.high


def test_scores_are_profiled_on_held_out_rows_alone_and_unlabelled_rows_are_no_negatives() -> None:
    X, as_of_ms, scores, y = _rows()
    held_out = as_of_ms >= 114 * DAY_MS
    labels = np.where(as_of_ms >= 120 * DAY_MS, np.nan, y)
    reference = Reference.build(COLUMNS, X, as_of_ms, scores, labels, horizon_days=30, held_out=held_out)
    assert reference.score.counts.sum() == 7 * 300
    assert reference.outcomes.days == tuple(range(114, 120))
    assert reference.outcomes.n == 6 * 300


def test_a_saved_reference_loads_equal_and_its_bytes_are_stable(tmp_path: Path) -> None:
    reference = _build()
    reference.save(tmp_path / "a.json")
    loaded = Reference.load(tmp_path / "a.json")
    loaded.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert loaded.edges.tobytes() == reference.edges.tobytes()
    assert loaded.auc == reference.auc


def test_a_reference_without_labels_is_valid_json_and_has_no_auc(tmp_path: Path) -> None:
    X, as_of_ms, scores, y = _rows()
    reference = Reference.build(COLUMNS, X, as_of_ms, scores, np.full(y.shape, np.nan), horizon_days=30)
    reference.save(tmp_path / "r.json")
    assert "NaN" not in (tmp_path / "r.json").read_text()
    assert np.isnan(Reference.load(tmp_path / "r.json").auc.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"format": 9}', b'{"format": 1, "features": 3}'])
def test_what_is_no_reference_is_refused(raw: bytes) -> None:
    with pytest.raises(ReferenceInvalid):
        Reference.decode(raw)


def test_shapes_that_do_not_fit_are_refused() -> None:
    X, as_of_ms, scores, y = _rows()
    with pytest.raises(ReferenceInvalid, match="3 columns"):
        Reference.build(COLUMNS, X[:, :2], as_of_ms, scores, y, horizon_days=30)
    with pytest.raises(ReferenceInvalid, match="a column has shape"):
        Reference.build(COLUMNS, X, as_of_ms[1:], scores, y, horizon_days=30)
    with pytest.raises(ReferenceInvalid, match="no tick rows"):
        Reference.build(COLUMNS, X[:0], as_of_ms[:0], scores[:0], y[:0], horizon_days=30)
