"""Two versions side by side on the same held-out rows: what one gains over the other, and how far they agree.

Gains are paired: both answers on the same resampled customers. Which rows these are is the business of
`offline.held_out`, the verdict that of `offline.promotion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from offline import metrics
from offline.bootstrap import Interval, difference
from offline.evaluate import as_json, auc_gain, log_loss_gain, number
from offline.held_out import HeldOut
from offline.metrics import Floats
from offline.promotion import Verdict
from offline.promotion import compare as judge

TOP_SHARE = 0.1


@dataclass(frozen=True)
class Comparison:
    """What is found of two versions; every gain is good for the first.

    Parameters
    ----------
    values
        Measure -> (first, second).
    gains
        Measure -> how much better the first is.
    agreement
        Rank correlation, share of rows on the same side of the own thresholds, share of the highest tenth in common.
    """

    versions: tuple[str, str]
    days: list[str]
    size: dict[str, Any]
    values: dict[str, tuple[float, float]]
    gains: dict[str, Interval]
    agreement: dict[str, float]
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return {
            "first": self.versions[0],
            "second": self.versions[1],
            "test": self.days,
            **self.size,
            "values": {name: [number(value) for value in pair] for name, pair in self.values.items()},
            "gains": {name: as_json(gain) for name, gain in self.gains.items()},
            "agreement": {name: number(value) for name, value in self.agreement.items()},
            "is_better": self.verdict.is_better,
            "reason": self.verdict.reason,
        }

    def lines(self) -> list[str]:
        """The comparison as text."""
        first, second = self.versions
        size = f"{self.size['n']} rows of {self.size['n_customers']} customers, {self.size['n_positive']} positive"
        lines = [
            f"{first} beside {second}: {size}, cut-offs {self.days[0]} to {self.days[-1]}",
            "",
            f"{'':<12}{first:>10}{second:>10}   gain of {first} (95 %)",
        ]
        for name, gain in self.gains.items():
            one, other = self.values[name]
            span = f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
            lines.append(f"{name.replace('_', ' '):<12}{one:>10.4f}{other:>10.4f}   {span}")
        said = self.agreement
        lines.append("")
        lines.append(
            f"agreement: rank correlation {said['rank_correlation']:.3f}, same side of the threshold "
            f"{said['same_side']:.1%}, highest tenth in common {said['top_in_common']:.1%}"
        )
        return [*lines, f"verdict on {first}: {self.verdict.reason}"]


def compare_versions(held_out: HeldOut, first: str, second: str) -> Comparison:
    """Measure two answers on the same rows."""
    judged, one, other = held_out.judged, held_out.first, held_out.second
    measures = {
        "auc": (metrics.roc_auc, auc_gain(judged, one, other)),
        "log_loss": (metrics.log_loss, log_loss_gain(judged, one, other)),
        "brier": (metrics.brier, difference(judged.customer, metrics.brier, judged.y, other, one)),
        "lift_10": (weighted_lift, difference(judged.customer, weighted_lift, judged.y, one, other)),
    }
    return Comparison(
        versions=(first, second),
        days=held_out.days,
        size=judged.size(),
        values={name: (of(judged.y, one, None), of(judged.y, other, None)) for name, (of, _) in measures.items()},
        gains={name: gain for name, (_, gain) in measures.items()},
        agreement=agreement(one, other, held_out.thresholds),
        verdict=judge(judged, one, other, second),
    )


def agreement(one: Floats, other: Floats, thresholds: tuple[float, float]) -> dict[str, float]:
    """How far two answers say the same, whatever is true."""
    n_top = max(1, round(TOP_SHARE * len(one)))
    tops = [set(np.argsort(-score, kind="stable")[:n_top].tolist()) for score in (one, other)]
    return {
        "rank_correlation": rank_correlation(one, other),
        "same_side": float(np.mean((one >= thresholds[0]) == (other >= thresholds[1]))),
        "top_in_common": len(tops[0] & tops[1]) / n_top,
    }


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's coefficient with mean ranks for ties; NaN when one answer never varies."""
    a, b = (_ranks(score) - (len(score) - 1) / 2.0 for score in (one, other))
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def weighted_lift(y: Floats, score: Floats, weight: Floats | None = None) -> float:
    """`offline.metrics.lift` of the highest tenth."""
    return metrics.lift(y, score, weight=weight)


def _ranks(score: Floats) -> Floats:
    """Ranks from 0, ties take their mean."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    return np.asarray((first + (counts - 1) / 2.0)[inverse])
