"""One day's verdicts: pooled tick histograms and matured outcomes against the reference of their model version.

The rules, in one place:

* feature and score: PSI and Jensen-Shannon of the last seven ticks pooled; the threshold is the stated one, or twice
  the largest distance that a week of the reference itself had, whichever is more. A drift speaks for a new model when
  labels cannot judge it yet: what has not moved since the newest days whose labels are in, and show no loss, is left to
  the labels (a young population ages: its recencies and shares of missing values creep for months). Before there are
  labels, a column whose reference itself moved by more than the stated threshold is not settled enough to speak;
* performance: the AUC of the last `outcome_days` matured as-of days against the reference AUC. Drifted when it is
  more than the margin below the reference's interval *and* more than `performance_z` standard errors of the
  difference below its value, where both AUCs bring their own variance. Looking daily is paid for by that high z:
  neighbouring looks share their customers, a 240-day run is worth about 25 independent ones;
* calibration: left against said, recorded, opens no signal.

Everything here is a function of its arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from schemas.workload import Workload
from stream_app.drift import DAY_MS, Counts, Finding, Scope, jensen_shannon, psi, verdict_of
from stream_app.errors import ReferenceInvalid
from stream_app.performance import Outcomes, auc_interval, brier, effective_positives, estimated_auc, lift
from stream_app.performance import observed_to_expected as calibration_of
from stream_app.reference import Profile, Reference


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a distance is drift.

    Parameters
    ----------
    psi, js
        Least thresholds of PSI (nats) and Jensen-Shannon (0..1).
    floor_factor
        Times the reference's own largest weekly distance.
    min_rows
        Pooled rows below which no distribution is judged.
    tick_days
        Ticks pooled; whole weeks, so that every weekday is in.
    outcome_days
        As-of days pooled for performance and calibration.
    performance_margin, performance_z
        Least distance of the AUC below the reference's interval, and least number of standard errors below its value.
    min_positives
        Effective (distinct) leavers below which performance is not judged.
    calibration_ratio, calibration_z
        Least ratio of left to said (either way), and least number of standard errors of its logarithm.
    """

    psi: float = 0.25
    js: float = 0.2
    floor_factor: float = 2.0
    min_rows: int = 500
    tick_days: int = 7
    outcome_days: int = 10
    performance_margin: float = 0.02
    performance_z: float = 3.5
    min_positives: int = 30
    calibration_ratio: float = 1.5
    calibration_z: float = 4.0

    @classmethod
    def from_workload(cls, workload: Workload) -> Thresholds:
        """What the workload's ``[watch]`` table says; the rest stays as here."""
        watch = workload.watch
        return cls(
            psi=watch.psi_threshold,
            js=watch.js_threshold,
            min_rows=watch.min_rows,
            performance_margin=watch.performance_margin,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Ticks:
    """Tick rows of `n_days` days pooled: histograms ``(n_features, 11)`` and score counts ``(20,)``."""

    histograms: Counts
    scores: Counts
    n_rows: int
    n_days: int


@dataclass(frozen=True, slots=True)
class Day:
    """What is being judged, and on whose word: share and mark tell a partial day from a whole one."""

    day: int
    model_version: str
    share: float = 1.0
    mark: str = ""


def covariate_findings(
    at: Day, ticks: Ticks, reference: Reference, limits: Thresholds, vouched: Ticks | None = None
) -> list[Finding]:
    """PSI and Jensen-Shannon of every feature and the score; ``too_few`` until `tick_days` ticks are there.

    `vouched` are the ticks of the newest days whose labels are in and show no loss; None when there are none.
    """
    if len(ticks.histograms) != len(reference.features):
        n_known, n_found = len(reference.features), len(ticks.histograms)
        raise ReferenceInvalid(f"reference of model {at.model_version} has {n_known} features, the ticks {n_found}")
    counts = np.array([profile.counts for profile in reference.features], dtype=np.int64).reshape(
        ticks.histograms.shape
    )
    then = None if vouched is None else vouched.histograms
    found = _compare(at, "feature", reference.features, counts, ticks.histograms, then, ticks, limits)
    then, score = None if vouched is None else vouched.scores[None], reference.score
    return found + _compare(at, "score", (score,), score.counts[None], ticks.scores[None], then, ticks, limits)


def performance_findings(at: Day, outcomes: Outcomes, reference: Reference | None, limits: Thresholds) -> list[Finding]:
    """AUC, Brier, lift and calibration of the matured outcomes; without a reference only numbers, no verdict."""
    if not outcomes.n:
        return []
    if reference is None or not reference.outcomes.n:
        return [_unjudged(at, outcomes)]
    return [
        _auc_finding(at, outcomes, reference, limits),
        *_yardsticks(at, outcomes, reference),
        _calibration_finding(at, outcomes, reference, limits),
    ]


def estimate_finding(at: Day, ticks: Ticks, reference: Reference) -> Finding:
    """What the AUC of rows without labels is if the scores still mean what they meant; never a verdict."""
    value = estimated_auc(ticks.scores, reference.score_means)
    distance = _or_zero(estimated_auc(reference.score.counts, reference.score_means) - value)
    detail = f"estimate {value:.4f} from calibrated scores, blind to concept drift"
    return _number(at, "estimated_auc", distance, ticks.n_rows, detail)


def _compare(
    at: Day,
    scope: Scope,
    profiles: tuple[Profile, ...],
    reference: Counts,
    current: Counts,
    vouched: Counts | None,
    ticks: Ticks,
    limits: Thresholds,
) -> list[Finding]:
    by_psi, by_js = psi(reference, current).tolist(), jensen_shannon(reference, current).tolist()
    since_psi = None if vouched is None else psi(vouched, current).tolist()
    since_js = None if vouched is None else jensen_shannon(vouched, current).tolist()
    found = []
    for i, profile in enumerate(profiles):
        for statistic, distance, since, least, floor in (
            ("psi", by_psi[i], since_psi and since_psi[i], limits.psi, profile.psi_floor),
            ("jensen_shannon", by_js[i], since_js and since_js[i], limits.js, profile.js_floor),
        ):
            threshold = max(least, limits.floor_factor * floor)
            excuse = _excuse(profile, distance > threshold, since, threshold, floor > least)
            verdict = verdict_of(distance, threshold, ticks.n_rows, limits.min_rows)
            found.append(
                Finding(
                    day=at.day,
                    as_of_ms=at.day * DAY_MS,
                    scope=scope,
                    name=profile.name,
                    statistic=statistic,
                    distance=distance,
                    threshold=threshold,
                    verdict=verdict if ticks.n_days >= limits.tick_days else "too_few",
                    n=ticks.n_rows,
                    model_version=at.model_version,
                    share=at.share,
                    detail=excuse,
                    mark=at.mark,
                    by_construction=bool(excuse),
                )
            )
    return found


def _auc_finding(at: Day, outcomes: Outcomes, reference: Reference, limits: Thresholds) -> Finding:
    now, then = auc_interval(outcomes, reference.horizon_days), reference.auc
    if math.isnan(now.value) or math.isnan(then.value):
        return _unjudged(at, outcomes)
    least = then.value - then.low + limits.performance_margin
    threshold = max(least, limits.performance_z * math.sqrt(now.variance + then.variance))
    drop = then.value - now.value
    leavers = effective_positives(float(outcomes.positives.sum()), outcomes.days, reference.horizon_days)
    enough = leavers >= limits.min_positives and len(outcomes.days) >= limits.outcome_days
    return Finding(
        day=at.day,
        as_of_ms=at.day * DAY_MS,
        scope="performance",
        name="tick",
        statistic="auc",
        distance=drop,
        threshold=threshold,
        verdict=("drifted" if drop > threshold else "steady") if enough else "too_few",
        n=outcomes.n,
        model_version=at.model_version,
        detail=(
            f"{now.value:.4f} [{now.low:.4f}, {now.high:.4f}], reference {then.value:.4f} "
            f"[{then.low:.4f}, {then.high:.4f}], {leavers:.0f} leavers, {_as_of(outcomes)}"
        ),
    )


def _yardsticks(at: Day, outcomes: Outcomes, reference: Reference) -> list[Finding]:
    means = reference.score_means
    loss, loss_then = brier(outcomes, means), brier(reference.outcomes, means)
    gain, gain_then = lift(outcomes), lift(reference.outcomes)
    gained, lost = _or_zero(gain), _or_zero(1.0 - gain / gain_then if gain_then else float("nan"))
    return [
        _number(at, "brier", loss - loss_then, outcomes.n, f"{loss:.5f}, reference {loss_then:.5f}"),
        _number(at, "lift_top_10", lost, outcomes.n, f"{gained:.3f}, reference {_or_zero(gain_then):.3f}"),
    ]


def _calibration_finding(at: Day, outcomes: Outcomes, reference: Reference, limits: Thresholds) -> Finding:
    ratio, error = calibration_of(outcomes, reference.score_means, reference.horizon_days)
    threshold = max(math.log(limits.calibration_ratio), limits.calibration_z * error)
    enough = len(outcomes.days) >= limits.outcome_days
    return Finding(
        day=at.day,
        as_of_ms=at.day * DAY_MS,
        scope="calibration",
        name="tick",
        statistic="log_observed_to_expected",
        distance=abs(ratio),
        threshold=threshold,
        verdict=("drifted" if abs(ratio) > threshold else "steady") if enough else "too_few",
        n=outcomes.n,
        model_version=at.model_version,
        detail=f"{math.exp(ratio):.3f} times as many left as the scores said, {_as_of(outcomes)}",
    )


def _number(at: Day, statistic: str, distance: float, n: int, detail: str) -> Finding:
    """A number without a verdict of its own: its threshold of 1 is out of reach."""
    return Finding(
        day=at.day,
        as_of_ms=at.day * DAY_MS,
        scope="performance",
        name="tick",
        statistic=statistic,
        distance=distance,
        threshold=1.0,
        verdict="steady",
        n=n,
        model_version=at.model_version,
        share=at.share,
        detail=detail,
        mark=at.mark,
    )


def _unjudged(at: Day, outcomes: Outcomes) -> Finding:
    return Finding(
        day=at.day,
        as_of_ms=at.day * DAY_MS,
        scope="performance",
        name="tick",
        statistic="auc",
        distance=0.0,
        threshold=1.0,
        verdict="too_few",
        n=outcomes.n,
        model_version=at.model_version,
        detail=f"nothing to compare with, base rate {outcomes.base_rate:.4f}, {_as_of(outcomes)}",
    )


def _as_of(outcomes: Outcomes) -> str:
    return f"as-of days {outcomes.days[0]} to {outcomes.days[-1]}"


def _excuse(profile: Profile, is_far: bool, since: float | None, threshold: float, is_unsettled: bool) -> str:
    """Why the distance, if it is far, does not speak for a new model; "" when it does."""
    if profile.is_calendar:
        return "calendar: moves by construction"
    if profile.is_ageing:
        return "ageing: moves by construction"
    if is_far and since is not None:
        return "" if since > threshold else "crept: no such move since the newest labels, which show no loss"
    return "unsettled: moved as much in the reference" if is_far and is_unsettled else ""


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0
