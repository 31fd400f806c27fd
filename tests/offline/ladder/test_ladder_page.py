"""The page holds every step, fetches nothing, and is the same bytes for the same ladder."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from offline.ladder.ladder import Ladder
from offline.ladder.ladder_page import ladder_page
from offline.ladder.plots import _bins, _rates, auc_forest
from offline.metrics import roc_auc


def test_the_page_shows_every_step_and_fetches_nothing(ladder: Ladder) -> None:
    text = ladder_page(ladder, "Ladder", "A company <b>").html()
    assert "A company &lt;b&gt;" in text
    for step in ladder.found["steps"]:
        assert step["title"] in text
    assert text.count("<svg") == 5
    assert "src=" not in text
    assert not any(f'{name}="http' in text for name in ("href", "xlink:href"))
    assert auc_forest(ladder.found["steps"]) == auc_forest(ladder.found["steps"])


def test_the_area_below_the_drawn_curve_is_the_auc() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random(300) < 0.3).astype(np.float64)
    margin = np.round(y + rng.normal(0, 1, 300), 1)
    false_alarms, caught, _ = _rates(y, margin)
    area = sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(zip(false_alarms, caught, strict=True)))
    assert np.isclose(area, roc_auc(y, margin))


def test_bins_of_a_calibration_curve_keep_the_means() -> None:
    rng = np.random.default_rng(1)
    probability = rng.random(800)
    y = (rng.random(800) < probability).astype(np.float64)
    mean, share = _bins(y, probability)
    assert len(mean) == 8
    assert np.isclose(mean.mean(), probability.mean())
    assert np.isclose(share.mean(), y.mean())
    assert np.allclose(_bins(y, np.full(800, 0.3))[0], [0.3])
    for few in (0.1, 0.9):  # one value nearly everywhere leaves the others a bin of their own
        assert np.allclose(_bins(y, np.where(np.arange(800) < 80, few, 0.5))[0], sorted([few, 0.5]))
