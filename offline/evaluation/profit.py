"""What contacting customers would bring at each threshold, beside contacting nobody, everybody, or whom the rule calls.

Profit is told per 1,000 customers looked at on one day. A threshold that is best on the very rows it is judged on
flatters itself; the bundle's own and the break-even one do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from offline.bootstrap import Resampled, interval_of
from offline.costs import Costs
from offline.evaluate import as_json
from offline.evaluation.curves import thinned
from offline.evaluation.scored import Scored
from offline.metrics import Floats, Ranking
from offline.rule import SILENT_DAYS, is_silent, silence_days
from offline.training_set import Bools

PER = 1000.0


def profit_curve(y: Floats, probability: Floats, costs: Costs, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """(thresholds, profit per 1,000 rows of contacting every row at or above), highest threshold first; (g,) each."""
    ranking = Ranking(y, probability)
    positive, negative = ranking.grouped(weight)
    brought = np.cumsum(positive * costs.of_leaver + negative * costs.of_stayer)
    return ranking.score, PER * brought / (positive + negative).sum()


def profits(scored: Scored, costs: Costs) -> dict[str, Any]:
    """The profit curve, the best threshold, and every way to choose whom to contact, with intervals."""
    y, probability = scored.y, scored.probability
    thresholds, brought = profit_curve(y, probability, costs)
    best = int(np.argmax(brought))
    pays = brought[best] > 0
    silence = silence_days(scored.X, scored.columns)
    ways: dict[str, Bools] = {
        "model at its threshold": scored.flagged,
        "model at the break-even probability": probability >= costs.break_even,
        "model at the best threshold of these rows": (probability >= thresholds[best]) & pays,
        "everybody": np.ones(len(y), dtype=bool),
        "nobody": np.zeros(len(y), dtype=bool),
    }
    if silence is not None:
        ways[f"silent for {SILENT_DAYS:.0f} days"] = is_silent(silence)
    return {
        "costs": costs.as_json(),
        "text": costs.text(),
        "break_even": costs.break_even,
        "best_threshold": float(thresholds[best]) if pays else None,
        "threshold": float(scored.threshold[0]) if len(scored) else None,
        "curve": {"threshold": thinned(thresholds), "profit": thinned(brought)},
        "ways": _compared(scored.resampled, y, costs, ways),
    }


def _compared(resampled: Resampled, y: Floats, costs: Costs, ways: dict[str, Bools]) -> list[dict[str, Any]]:
    """Profit per 1,000 of each way, and what the model at its threshold brings beyond it, paired by customer."""
    each = costs.profit(y)
    columns = [each * flagged for flagged in ways.values()]
    sums = resampled.sums(np.column_stack([*columns, np.ones(len(y))]))
    per_1000 = PER * sums[:, :-1] / sums[:, -1:]
    return [
        {
            "who": who,
            "n_contacted": int(flagged.sum()),
            "share": float(flagged.mean()),
            "profit": as_json(interval_of(per_1000[:, i])),
            "model_brings_more": as_json(interval_of(per_1000[:, 0] - per_1000[:, i])),
        }
        for i, (who, flagged) in enumerate(ways.items())
    ]
