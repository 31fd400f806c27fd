"""Profit equals a slow count at every threshold; who contacts nobody earns nothing."""

from dataclasses import replace

import numpy as np
import pytest

from offline.costs import Costs
from offline.evaluation.profit import profit_curve, profits
from tests.offline.evaluation.rows import made_rows

COSTS = Costs(contact_cost=1, offer_cost=10, accept_rate=0.3, customer_value=150, currency="EUR")


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_equals_a_count_at_every_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = (rng.random(60) < 0.3).astype(np.float64)
    p, w = np.round(0.4 * y + 0.6 * rng.random(60), 1 + seed % 3), rng.integers(1, 4, 60).astype(np.float64)
    thresholds, brought = profit_curve(y, p, COSTS, w)
    each = np.where(y > 0, 0.3 * 140 - 1, -11)
    assert thresholds.tolist() == sorted(set(p.tolist()), reverse=True)
    np.testing.assert_allclose(brought, [1000 * (w * each)[p >= t].sum() / w.sum() for t in thresholds])


def test_every_way_to_choose_is_told_beside_the_model() -> None:
    rows = made_rows(2_000)
    found = profits(rows, COSTS)
    each = np.where(rows.y > 0, COSTS.of_leaver, COSTS.of_stayer)
    ways = {way["who"]: way for way in found["ways"]}
    assert ways["nobody"]["profit"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert ways["everybody"]["profit"]["value"] == pytest.approx(1000 * each.mean())
    assert ways["everybody"]["n_contacted"] == 2_000
    silent = rows.X[:, 1] >= 14
    assert ways["silent for 14 days"]["profit"]["value"] == pytest.approx(1000 * (each * silent).sum() / 2_000)
    own = 1000 * (each * (rows.probability >= 0.2)).mean()
    assert ways["model at its threshold"]["profit"]["value"] == pytest.approx(own)
    assert ways["everybody"]["model_brings_more"]["value"] == pytest.approx(own - 1000 * each.mean())
    best = ways["model at the best threshold of these rows"]["profit"]["value"]
    assert best == pytest.approx(max(profit_curve(rows.y, rows.probability, COSTS)[1]))
    assert all(way["profit"]["value"] <= best + 1e-9 for who, way in ways.items() if who.startswith("model"))


def test_calibrated_probabilities_pay_most_near_the_break_even_one() -> None:
    rows = made_rows(40_000, per_customer=1)
    ways = {way["who"]: way["profit"]["value"] for way in profits(rows, COSTS)["ways"]}
    best = ways["model at the best threshold of these rows"]
    assert ways["model at the break-even probability"] > 0.98 * best


def test_where_no_contact_pays_there_is_no_best_threshold() -> None:
    rows = made_rows(500)
    found = profits(replace(rows, y=np.zeros(500)), COSTS)
    assert found["best_threshold"] is None
    ways = {way["who"]: way for way in found["ways"]}
    assert ways["model at the best threshold of these rows"]["n_contacted"] == 0
