"""Is the challenger better than the champion? One rule on held-out rows of both, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from offline.bootstrap import Interval
from offline.evaluate import FEW_POSITIVES, Judged, as_json, auc_gain, log_loss_gain
from offline.metrics import Floats

AUC_MARGIN = 0.02


@dataclass(frozen=True)
class Verdict:
    """Whether to release, why, and the numbers behind it."""

    is_better: bool
    reason: str
    details: dict[str, Any]


def compare(judged: Judged, challenger: Floats, champion: Floats, champion_version: str) -> Verdict:
    """Better when it ranks better, or ranks no worse (by 0.02 AUC) and has the lower log loss; all beyond doubt (95 %).

    Parameters
    ----------
    judged
        Tick rows that neither model was trained on.
    challenger, champion
        Their probabilities on those rows, (n,).
    """
    if judged.n_positive < FEW_POSITIVES:
        return Verdict(
            False, f"too few positives to compare on: {judged.n_positive}", {"n_positive": judged.n_positive}
        )
    auc, loss = auc_gain(judged, challenger, champion), log_loss_gain(judged, challenger, champion)
    details = judged.size() | {"champion": champion_version, "auc_gain": as_json(auc), "log_loss_gain": as_json(loss)}
    gains = f"AUC {_say(auc)}, log loss lower by {_say(loss)}"
    on = f"on {len(judged.y)} held-out rows with {judged.n_positive} positives"
    if np.isfinite(auc.low) and auc.low > 0.0:
        return Verdict(True, f"ranks better than {champion_version}: {gains} {on}", details)
    if auc.low > -AUC_MARGIN and loss.low > 0.0:
        return Verdict(True, f"ranks no worse than {champion_version} and is better calibrated: {gains} {on}", details)
    return Verdict(False, f"not better than {champion_version} beyond doubt: {gains} {on}", details)


def _say(gain: Interval) -> str:
    return f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
