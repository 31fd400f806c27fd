"""A step's margins as probabilities and alarms, each row kind by itself: calibrated on the later block, then kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offline.calibrate import Platt, fit_platt
from offline.metrics import Floats
from offline.threshold import best_f1_threshold
from offline.train import MIN_KIND_POSITIVES
from offline.training_set import ROW_KINDS, Bools

STRETCHED = 10.0
"""A slope from which a calibration has little to go by: margins are log odds, or in standard deviations."""


@dataclass(frozen=True)
class KindCalibration:
    """Of one row kind.

    Parameters
    ----------
    threshold
        Probability from which a row is flagged; None when `cut`, a margin, says it.
    """

    platt: Platt
    threshold: float | None
    cut: float | None

    @property
    def is_turned(self) -> bool:
        """Whether the calibration rows showed that a higher margin means fewer leavers."""
        return self.cut is None and self.platt.a < 0.0

    def ranked(self, margin: Floats) -> Floats:
        """Margins (n,) in the order of the probabilities; those of a step with a cut of its own stay as they are."""
        return -margin if self.is_turned else margin

    def notes(self) -> tuple[str, ...]:
        """What a reader must know about it."""
        turned = "on the calibration rows fewer left where it scored higher, so its ranking is turned round"
        stretched = "its scores hardly differ on the calibration rows: do not trust its probabilities"
        is_stretched = self.cut is None and abs(self.platt.a) > STRETCHED
        return (turned,) * self.is_turned + (stretched,) * is_stretched

    def flagged(self, margin: Floats) -> Bools:
        """Which rows are flagged, (n,)."""
        if self.cut is not None:
            return np.asarray(margin >= self.cut)
        assert self.threshold is not None, "a step without a cut of its own has a threshold"
        return np.asarray(self.platt.probability(margin) >= self.threshold)


def calibrate_kinds(
    y: Floats, kind: NDArray[np.uint8], margin: Floats, cut: float | None
) -> tuple[tuple[KindCalibration, ...], dict[str, str]]:
    """(calibration per row kind, row kind -> what to know about it).

    A kind with few positives or few others takes the calibration of ticks.

    Parameters
    ----------
    y, kind, margin
        Outcomes, row kinds and margins of the later block, (n,).
    cut
        Margin from which the step flags, when it says so itself.
    """
    found: list[KindCalibration] = []
    notes = {}
    for code, name in enumerate(ROW_KINDS):
        mine = kind == code
        n_positive = int(y[mine].sum())
        if code and min(n_positive, int(mine.sum()) - n_positive) < MIN_KIND_POSITIVES:
            found.append(found[0])
            notes[name] = f"{n_positive} of {int(mine.sum())} later {name} rows churned, so tick rows calibrate them"
            continue
        platt = fit_platt(y[mine], margin[mine])
        threshold = None if cut is not None else best_f1_threshold(y[mine], platt.probability(margin[mine]))
        found.append(KindCalibration(platt, threshold, cut))
    return tuple(found), notes
