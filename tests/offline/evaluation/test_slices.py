"""Slices add up to the whole, what is planted is named, and slices that are alike are not."""

from dataclasses import replace

import numpy as np
import pytest

from offline import metrics
from offline.errors import OfflineError
from offline.evaluation.groups import MIN_ROWS, groups_of, holm, p_value, whole_of
from offline.evaluation.slices import slice_table
from offline.evaluation.slicing import (
    Slicing,
    by_band,
    by_category,
    by_day,
    by_feature,
    by_label,
    by_quantile,
    slicings,
)
from tests.offline.evaluation.rows import COLUMNS, PLANS, made_rows


def test_slices_of_every_slicing_add_up_to_the_whole() -> None:
    rows = made_rows(2_000)
    whole = whole_of(rows)
    found = slicings(rows, ["days_since_session"], {"segment": np.arange(2_000) % 3})
    assert set(found) == {"test day", "tenure", "plan", "sessions_30d (volume)", "days_since_session", "segment"}
    for slicing in found.values():
        groups = groups_of(rows, slicing)
        assert sum(group.n for group in groups) == whole.n == 2_000
        assert sum(group.n_positive for group in groups) == whole.n_positive
        mean = sum(group.n * group.figures["score"][0] for group in groups) / whole.n
        assert mean == pytest.approx(whole.figures["score"][0])
        flagged = sum(group.n * group.figures["alert_rate"][0] for group in groups)
        assert flagged == pytest.approx(rows.flagged.sum())


def test_a_groups_figures_are_those_of_its_rows_alone() -> None:
    rows = made_rows(2_000)
    for group in groups_of(rows, by_feature(rows, "plan")):
        mine = rows.take(rows.X[:, 3] == PLANS.index(group.name))
        precision, recall, _ = metrics.precision_recall_f1(mine.y, mine.flagged)
        assert group.figures["precision"][0] == pytest.approx(precision)
        assert group.figures["recall"][0] == pytest.approx(recall)
        assert group.figures["roc_auc"][0] == pytest.approx(metrics.roc_auc(mine.y, mine.probability))
        assert group.figures["log_loss"][0] == pytest.approx(metrics.log_loss(mine.y, mine.probability))
        assert group.figures["gap"][0] == pytest.approx(mine.probability.mean() - mine.y.mean())


def test_a_slice_whose_scores_say_nothing_and_one_that_is_scored_too_low_are_named() -> None:
    rows, rng = made_rows(6_000), np.random.default_rng(0)
    plan = rows.X[:, 3].astype(int)
    shuffled, low = rows.probability.copy(), plan == 2
    shuffled[plan == 0] = rng.permutation(shuffled[plan == 0])
    y = np.where(low, (rng.random(6_000) < np.minimum(3 * rows.probability, 0.95)), rows.y)
    found = slice_table(replace(rows, probability=shuffled, y=y.astype(np.float64)), {"plan": by_feature(rows, "plan")})
    assert any(line.startswith("plan: basic ranks worse: AUC 0.5") for line in found["much_worse"])
    assert any(line.startswith("plan: pro is scored too low") for line in found["much_worse"])
    assert not any("plus" in line for line in found["much_worse"])


def test_slices_that_are_alike_are_seldom_named() -> None:
    named = 0
    for seed in range(20):
        rows = made_rows(1_500, seed)
        given = {"a": np.random.default_rng(seed).integers(0, 8, 1_500)}
        named += bool(slice_table(rows, slicings(rows, (), given))["much_worse"])
    assert named <= 3  # one in twenty by Holm


def test_small_slices_are_counted_and_not_judged() -> None:
    rows = made_rows(1_000)
    labels = np.where(np.arange(1_000) < MIN_ROWS - 1, "few", "many")
    found = slice_table(rows, {"size": by_label(labels)})
    few, many = (next(row for row in found["slices"] if row["name"] == name) for name in ("few", "many"))
    assert few["is_small"]
    assert "roc_auc" not in few
    assert "auc_p_value" in many
    assert "1 slices have fewer than 50 rows" in found["note"]


def test_row_kinds_are_told_beside_the_slices_of_ticks() -> None:
    rows = made_rows(2_000)
    mixed = replace(rows, kind=(np.arange(2_000) % 2).astype(np.uint8))
    found = slice_table(mixed, {"test day": by_day(mixed.ticks)})
    kinds = {row["name"]: row["n"] for row in found["slices"] if row["slicing"] == "row kind"}
    assert kinds == {"tick": 1_000, "event": 1_000}
    assert found["all"]["n"] == 1_000


def test_bands_hold_their_lower_edge_and_what_is_missing() -> None:
    values = np.array([np.nan, 0, 29.9, 30, 89, 90, 400], np.float32)
    found = by_band(values, (30, 90), " days")
    assert found.names == ("below 30 days", "30 to 90 days", "90 days and more", "missing")
    assert found.place.tolist() == [3, 0, 0, 1, 1, 2, 2]
    tied = by_quantile(np.r_[np.zeros(90), np.arange(1, 11)].astype(np.float32), 4)
    assert max(np.bincount(tied.place)) == 100 - sum(tied.place != tied.place[0])
    assert by_quantile(np.full(5, np.nan), 4).names == ("missing",)
    codes = by_category(np.array([0, 2, 7, np.nan], np.float32), PLANS)
    assert [codes.names[i] for i in codes.place] == ["basic", "pro", "unseen", "missing"]


def test_an_unknown_feature_is_refused_with_those_there_are() -> None:
    with pytest.raises(OfflineError, match="no feature 'colour' to slice by; there are sessions_30d, days_since"):
        slicings(made_rows(100), ["colour"])
    assert isinstance(by_feature(made_rows(100), COLUMNS[0].name), Slicing)


def test_holms_p_values_control_all_of_a_table() -> None:
    raw = [0.01, 0.04, 0.03, 0.5]
    expected = []  # by the definition: the largest of (m - rank + 1) p over all that are not larger
    for p in raw:
        smaller = sorted(q for q in raw if q <= p)
        expected.append(min(1.0, max((len(raw) - rank) * q for rank, q in enumerate(smaller))))
    assert holm(raw) == pytest.approx(expected)
    assert holm([]) == []


def test_what_never_varies_is_no_certainty() -> None:
    always = np.full(301, 0.1)
    assert p_value(always) == 0.0
    assert p_value(always, least_variance=0.01) == pytest.approx(0.3173, abs=1e-3)  # one standard deviation
    assert p_value(np.full(301, np.nan)) == 1.0
