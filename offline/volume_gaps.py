"""Days on which far fewer events came than the weekday's neighbours let expect: an outage, or a missing file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MIN_USUAL = 10.0
"""Events that a weekday usually has: below, silence proves nothing."""

SHARE = 0.1
"""Below this share of what is usual a day counts as a gap."""

WEEKS = 4
"""Weeks before and after whose same weekday says what is usual."""


def gap_days(by_day: Mapping[int, int]) -> tuple[list[int], int]:
    """Days with a gap, ascending, and how many days there are between the first and the last event.

    Parameters
    ----------
    by_day
        Day (since 1970) -> events, silent days left out.

    Examples
    --------
    >>> gap_days({day: 50 for day in range(60) if day != 30})
    ([30], 60)
    """
    if not by_day:
        return [], 0
    first, last = min(by_day), max(by_day)
    counts = np.array([by_day.get(day, 0) for day in range(first, last + 1)], dtype=np.float64)
    gaps = []
    for place in range(len(counts)):
        around = [place + 7 * week for week in range(-WEEKS, WEEKS + 1) if week]
        usual = [counts[other] for other in around if 0 <= other < len(counts)]
        if len(usual) >= WEEKS and (middle := float(np.median(usual))) >= MIN_USUAL and counts[place] < SHARE * middle:
            gaps.append(first + place)
    return gaps, len(counts)
