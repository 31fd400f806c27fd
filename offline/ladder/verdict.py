"""In words: is a step worth it, and how far up should one climb? Only differences beyond doubt count.

Beyond doubt: the interval of the gain in ROC-AUC on tick rows, which holds for all pairs of steps at once, lies on one
side of 0, and the test rows have at least 30 customers' rows of each class to tell by.
"""

from __future__ import annotations

from dataclasses import dataclass

from offline.bootstrap import Interval
from offline.evaluate import FEW_POSITIVES
from offline.ladder.judge import Judged
from offline.ladder.steps import YARDSTICKS


@dataclass(frozen=True)
class Verdict:
    """What is said of a step.

    Parameters
    ----------
    worth_it
        Whether it beats every step below beyond doubt; False for the lowest.
    """

    worth_it: bool
    text: str


def verdicts(judged: Judged) -> tuple[Verdict, ...]:
    """One for each step, the lowest first."""
    return tuple(_verdict(judged, step) for step in range(len(judged.names)))


def recommended(judged: Judged) -> tuple[int, str]:
    """(the lowest step that none above beats beyond doubt, why)."""
    n = len(judged.names)
    step = next(i for i in range(n) if not any(_beats(judged, above, i) for above in range(i + 1, n)))
    return step, _why(judged, step)


def _why(judged: Judged, step: int) -> str:
    n_above = len(judged.names) - step - 1
    name = judged.names[step]
    if is_short(judged):
        return f"{_too_few(judged)}, so no step can be shown to be better than the {_yardstick(judged)}"
    if name in YARDSTICKS:
        return f"no step is better than the {name} beyond doubt: no skill is shown"
    beaten = _gain_text(judged.auc_gains.over(step, judged.names.index(_yardstick(judged))))
    above = f"none of the {n_above} steps above is better beyond doubt" if n_above else "no step stands above it"
    return f"{beaten} in AUC over the {_yardstick(judged)}; {above}"


def _verdict(judged: Judged, step: int) -> Verdict:
    if step == 0:
        return Verdict(False, "knows nothing about a customer")
    below = [judged.names[i] for i in range(step)]
    not_beaten = [i for i in range(step) if not _beats(judged, step, i)]
    if not not_beaten:
        best = max(range(step), key=lambda i: judged.auc_gains.over(i, 0).value)
        return Verdict(True, f"worth it: {_gain_text(judged.auc_gains.over(step, best))} over {below[best]}")
    yardsticks = [i for i in not_beaten if below[i] in YARDSTICKS]
    if yardsticks:
        short = f" ({_too_few(judged)})" if is_short(judged) else ""
        return Verdict(False, f"not better than the {below[max(yardsticks)]}{short}")
    strongest = max(not_beaten, key=lambda i: judged.auc_gains.over(i, 0).value)
    gain = judged.auc_gains.over(step, strongest)
    said = "worse than" if gain.high < 0.0 else "no better than"
    return Verdict(False, f"{said} {below[strongest]}: {_gain_text(gain)}")


def is_short(judged: Judged) -> bool:
    """Whether there are too few rows of a class to tell anything."""
    return judged.n_rarer < FEW_POSITIVES


def _beats(judged: Judged, step: int, other: int) -> bool:
    return not is_short(judged) and judged.auc_gains.over(step, other).low > 0.0


def _yardstick(judged: Judged) -> str:
    return max((name for name in YARDSTICKS if name in judged.names), key=judged.names.index)


def _too_few(judged: Judged) -> str:
    rows = "churned" if judged.n_positive == judged.n_rarer else "stayed"
    return f"only {judged.n_rarer} of {len(judged.y)} test rows {rows}, {FEW_POSITIVES} are needed"


def _gain_text(gain: Interval) -> str:
    return f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
