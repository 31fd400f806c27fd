"""Thresholds for a recall and for profit against a search over every cut."""

import numpy as np
import pytest

from offline.costs import Costs
from offline.errors import OfflineError
from offline.threshold import BEST_F1, RULE, best_profit_threshold, parse_rule, recall_threshold, rule_of

COSTS = Costs(contact_cost=1, offer_cost=4, accept_rate=0.5, customer_value=30)


def _sample(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 80))
    y = (rng.random(n) < 0.3).astype(np.float64)
    y[0] = 1.0
    return y, np.round(0.3 * y + 0.7 * rng.random(n), 1 + seed % 3)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("recall", [0.3, 0.8, 1.0])
def test_no_higher_threshold_has_the_recall(seed: int, recall: float) -> None:
    y, p = _sample(seed)
    chosen = recall_threshold(y, p, recall)
    assert y[p >= chosen].sum() / y.sum() >= recall - 1e-9
    higher = [t for t in np.unique(p) if t > chosen]
    fewer = [y[p > t].sum() / y.sum() for t in higher if (p >= chosen).sum() > (p > t).sum()]
    above = p[p >= chosen]
    assert not len(above) or y[p > above.min()].sum() / y.sum() < recall
    assert all(share <= y[p >= chosen].sum() / y.sum() for share in fewer)


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_brings_more(seed: int) -> None:
    y, p = _sample(seed)
    each = np.where(y > 0, 0.5 * 26 - 1, -5)
    chosen = best_profit_threshold(y, p, COSTS)
    most = max([0.0, *(each[p >= t].sum() for t in np.unique(p))])
    assert each[p >= chosen].sum() == pytest.approx(most)


def test_when_no_contact_pays_nobody_is_flagged() -> None:
    assert best_profit_threshold(np.zeros(4), np.linspace(0, 0.9, 4), COSTS) == 1.0
    assert best_profit_threshold(np.zeros(0), np.zeros(0), COSTS) == 1.0
    assert recall_threshold(np.zeros(3), np.zeros(3), 0.5) == 1.0


def test_rules_say_what_they_chose_and_the_default_is_unchanged() -> None:
    assert parse_rule("f1", COSTS) is BEST_F1
    assert BEST_F1.content() == {"rule": RULE}
    assert "recall of at least 0.8" in parse_rule("recall:0.8", None).text()
    content = parse_rule("profit", COSTS).content()
    assert content["costs"] == COSTS.as_json()
    assert content["rule"].startswith("maximises profit on the calibration fold (contact 1")


@pytest.mark.parametrize("text", ["f1", "recall:0.75", "profit"])
def test_a_retraining_chooses_for_the_same_goal_again(text: str) -> None:
    rule = parse_rule(text, COSTS)
    assert rule_of({"tick": 0.3, **rule.content()}) == rule


@pytest.mark.parametrize("text", ["", "f2", "recall", "recall:", "recall:0", "recall:1.1", "recall:most", "profit:1"])
def test_other_goals_are_refused(text: str) -> None:
    with pytest.raises(OfflineError, match="is not f1, profit, or recall"):
        parse_rule(text, COSTS)


def test_profit_needs_costs() -> None:
    with pytest.raises(OfflineError, match="add --costs FILE"):
        parse_rule("profit", None)
