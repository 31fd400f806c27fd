"""Differences to the largest group are those counted by hand; small groups are not judged, alike ones not accused."""

from dataclasses import replace

import numpy as np
import pytest

from offline.evaluation.fairness import fairness_table
from offline.evaluation.groups import groups_of
from offline.evaluation.slicing import Slicing, by_feature, by_label
from tests.offline.evaluation.rows import made_rows


def _table(rows: object, labels: np.ndarray) -> dict:
    return fairness_table(rows, {"group": by_label(labels)})["attributes"]["group"]


def test_differences_are_those_counted_by_hand() -> None:
    rows = made_rows(1_000, per_customer=1)
    labels = np.where(np.arange(1_000) % 10 < 6, "large", "small")
    table = _table(rows, labels)
    assert table["reference"] == "large"
    row = next(row for row in table["groups"] if row["name"] == "small")
    flagged, y = rows.flagged, rows.y
    expected = {}
    for name, mine in (("small", labels == "small"), ("large", labels == "large")):
        expected[name] = {
            "score": rows.probability[mine].mean(),
            "alert_rate": flagged[mine].mean(),
            "recall": flagged[mine & (y > 0)].mean(),
            "precision": y[mine & flagged].mean(),
            "false_positive_rate": flagged[mine & (y == 0)].mean(),
            "gap": rows.probability[mine].mean() - y[mine].mean(),
        }
    for figure, difference in row["less_reference"].items():
        assert difference["value"] == pytest.approx(expected["small"][figure] - expected["large"][figure]), figure
        assert difference["low"] <= difference["value"] <= difference["high"]
    rates = [expected[name]["alert_rate"] for name in ("small", "large")]
    assert row["alert_rate_ratio"]["value"] == pytest.approx(rates[0] / rates[1])
    assert "less_reference" not in next(row for row in table["groups"] if row["name"] == "large")


def test_a_group_that_is_flagged_for_nothing_is_named() -> None:
    rows = made_rows(4_000)
    labels = np.where(rows.customer % 3 == 0, "b", "a")
    treated = np.where(labels == "b", np.minimum(rows.probability * 2.0, 1.0), rows.probability)
    differs = _table(replace(rows, probability=treated), labels)["differs"]
    assert any(line.startswith("b: alert rate differs from a by +") for line in differs)
    assert any(line.startswith("b: gap differs from a by +") for line in differs)


def test_groups_that_are_alike_are_seldom_accused() -> None:
    accused = 0
    for seed in range(40):
        rows = made_rows(1_200, seed)
        labels = np.random.default_rng(seed).choice(list("aabc"), rows.customer.max() + 1)[rows.customer]
        accused += bool(_table(rows, labels)["differs"])
    assert accused <= 5  # one in twenty by Holm


def test_ten_leavers_none_of_whom_is_flagged_prove_nothing_by_themselves() -> None:
    rows = made_rows(600, per_customer=1)
    few = np.zeros(600, bool)
    few[np.flatnonzero(rows.y > 0)[:10]] = True
    few[np.flatnonzero(rows.y == 0)[:60]] = True
    never = replace(rows, threshold=np.where(few, 2.0, rows.threshold))
    group = groups_of(never, by_label(np.where(few, "few", "many")), with_auc=False)[0]
    recall = group.interval("recall")
    assert (recall.value, recall.low) == (0.0, 0.0)
    assert recall.high == pytest.approx(0.2775, abs=1e-3)  # Wilson's for 0 of 10
    assert np.isnan(group.figures["precision"]).all()  # nobody is flagged


def test_small_groups_are_counted_alone_and_the_caveat_says_so() -> None:
    rows = made_rows(1_000)
    labels = np.where(rows.customer < 10, "tiny", "rest")
    found = fairness_table(rows, {"group": by_label(labels)})
    tiny = next(row for row in found["attributes"]["group"]["groups"] if row["name"] == "tiny")
    assert tiny["is_small"]
    assert "recall" not in tiny
    assert "nothing can be said of them, neither good nor bad" in found["note"]


def test_an_attribute_with_small_groups_alone_accuses_nobody() -> None:
    rows = made_rows(200)
    table = fairness_table(rows, {"who": Slicing(tuple("abcdefgh"), rows.customer % 8)})["attributes"]["who"]
    assert table["differs"] == []
    assert by_feature(rows, "plan").names[:3] == ("basic", "plus", "pro")
