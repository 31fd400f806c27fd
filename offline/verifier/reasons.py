"""Whether the reasons of an alert are those of its score, up to the precision of single contributions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from offline.verifier.outputs import ExpectedAlert

TOLERANCE = 1e-4  # of the largest contribution: libraries add up a tree's leaves in different orders


def wrong_reason(alert: ExpectedAlert, found: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str | None:
    """What is wrong with the reasons of a published alert; None when nothing is."""
    if alert.contributions is None:
        return f"{len(found)} reasons where none belong" if found else None
    expected = dict(zip(columns, zip(alert.x.tolist(), alert.contributions.tolist(), strict=True), strict=True))
    near = TOLERANCE * max(1.0, *(abs(c) for c in alert.contributions.tolist()))
    for reason in found:
        if wrong := _wrong(reason, expected, near):
            return wrong
    return _wrong_choice(alert, [str(reason["feature"]) for reason in found], expected, near)


def _wrong(reason: Mapping[str, Any], expected: Mapping[str, tuple[float, float]], near: float) -> str | None:
    """Whether one reason says of its feature what is true."""
    name = str(reason["feature"])
    if name not in expected:
        return f"reason {name!r} is no feature"
    value, contribution = expected[name]
    if reason["value"] != value and not (math.isnan(reason["value"]) and math.isnan(value)):
        return f"reason {name}: value {reason['value']}, recomputed {value}"
    if abs(reason["contribution"] - contribution) > near:
        return f"reason {name}: contribution {reason['contribution']}, recomputed {contribution}"
    return None


def _wrong_choice(
    alert: ExpectedAlert, named: Sequence[str], expected: Mapping[str, tuple[float, float]], near: float
) -> str | None:
    """Whether the strongest were chosen, strongest first."""
    strength = [expected[name][1] for name in named]
    left = [c for name, (_, c) in expected.items() if name not in named]
    if len(set(named)) < len(named) or any(b > a + 2 * near for a, b in pairwise(strength)):
        return f"reasons {', '.join(named)} are not in order"
    if len(named) > alert.rule.reasons:
        return f"{len(named)} reasons, the rule has {alert.rule.reasons}"
    weakest = min(strength, default=math.inf) if len(named) == alert.rule.reasons else 0.0
    if max(left, default=0.0) > weakest + 2 * near:
        return "a stronger reason is left out"
    return None
