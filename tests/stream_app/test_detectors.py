"""The wrappers against River itself, on streams whose drifts are known."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_app.detectors import Adwin, Detector, PageHinkley

STREAMS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "drift_streams"
KINDS = [(Adwin, {"delta": 0.002}), (PageHinkley, {"delta": 0.01, "threshold": 20.0, "min_values": 30})]


def _river(kind: type[Detector], settings: dict[str, float]) -> Any:
    from river import drift

    if kind is Adwin:
        return drift.ADWIN(delta=settings["delta"])
    return drift.PageHinkley(min_instances=30, delta=settings["delta"], threshold=settings["threshold"], mode="both")


def _steps() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(0.2, 0.1, 600), rng.normal(0.7, 0.1, 600), rng.normal(0.3, 0.1, 600)])


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_a_wrapper_alarms_exactly_where_river_does(kind: type[Detector], settings: dict[str, float]) -> None:
    ours, river = kind(**settings), _river(kind, settings)
    found, expected = [], []
    for i, value in enumerate(_steps().tolist()):
        river.update(value)
        found += [i] if ours.update(value).verdict == "drifted" else []
        expected += [i] if river.drift_detected else []
    assert found == expected
    assert len(found) >= 2


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_a_verdict_begins_with_too_few_and_counts_what_was_seen(
    kind: type[Detector], settings: dict[str, float]
) -> None:
    detector = kind(**settings)
    assert detector.verdict == "too_few"
    for _ in range(detector.min_values):
        detector.update(0.5)
    assert (detector.verdict, detector.n_seen) == ("steady", detector.min_values)


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_a_restored_detector_goes_on_as_the_first_would(kind: type[Detector], settings: dict[str, float]) -> None:
    values = _steps().tolist()
    first = kind(**settings)
    for value in values[:700]:
        first.update(value)
    second = kind.restore(json.loads(json.dumps(first.snapshot())))
    verdicts = [(first.update(value).verdict, second.update(value).verdict) for value in values[700:]]
    assert all(one == other for one, other in verdicts)
    assert first.n_seen == second.n_seen == len(values)


def test_the_worker_application_does_not_load_river() -> None:
    code = "import sys, stream_app.detectors, stream_app.aggregate; assert 'river' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


def _labelled(name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    with gzip.open(STREAMS / name, "rt") as lines:
        rows = [line.strip().split(",") for line in lines if line.strip() and line[0] not in "@%"][:n]
    return np.array([row[:-1] for row in rows]), np.array([row[-1] for row in rows])


@pytest.mark.parametrize("name", ["sine1_w_50_n_0.1_101.arff.gz", "sine1_w_50_n_0.1_102.arff.gz"])
def test_adwin_finds_the_known_drift_of_a_labelled_stream_soon_and_nothing_before(name: str) -> None:
    if not (STREAMS / name).exists():
        pytest.skip(f"the drift streams are not at {STREAMS}")
    from river import naive_bayes

    X, y = _labelled(name, 24_000)
    model, detector, alarms = naive_bayes.GaussianNB(), Adwin(), []
    for i, (row, label) in enumerate(zip(X.astype(float).tolist(), y.tolist(), strict=True)):
        features = dict(enumerate(row))
        wrong = float(model.predict_one(features) != label)
        model.learn_one(features, label)
        if detector.update(wrong).verdict == "drifted":
            alarms.append(i)
            model = naive_bayes.GaussianNB()
    assert alarms
    assert 20_000 <= alarms[0] <= 20_300
