"""From scores to decisions: what is published, which alerts open and close, what is remembered until the label is
known.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from schemas.compiled import Array, Integer, compiled
from stream_app import opcodes as op
from stream_app.opcodes import RULE_DECISION_AT, RULE_MEMORY_AT, RULE_MEMORY_DAYS

NOT_PUBLISHED, PUBLISHED_TICK, PUBLISHED_MOVED, PUBLISHED_BAND = range(4)
OPENED, CLOSED = 1, 2
OPEN_ABOVE, CLOSE_BELOW, COOL_DOWN = range(3)


@compiled
def score_bin(score: Integer) -> Any:
    """Bin of a score in [0, 1]: equal steps of its square root, finer where most scores of a rare event lie."""
    return min(int(math.sqrt(np.float64(score)) * op.SCORE_BINS), op.SCORE_BINS - 1)


@compiled
def _publish(
    s64: Array, decision: Integer, row_kind: Integer, micros: Integer, band: Integer, step_micros: Integer
) -> Any:
    """Why this score is published, or NOT_PUBLISHED; remembers what was."""
    last = s64[decision + op.SCORE]
    if row_kind == op.TICK:
        why = PUBLISHED_TICK
    elif last >= 0 and band != s64[decision + op.BAND]:
        why = PUBLISHED_BAND
    elif last < 0 or abs(micros - last) > step_micros:
        why = PUBLISHED_MOVED
    else:
        return NOT_PUBLISHED
    s64[decision + op.SCORE] = micros
    s64[decision + op.BAND] = band
    return why


@compiled
def _alert(
    s64: Array,
    at: Integer,
    score: Integer,
    as_of: Integer,
    open_above: Integer,
    close_below: Integer,
    cool_down: Integer,
) -> Any:
    """OPENED, CLOSED or 0: hysteresis and cool-down of one rule."""
    if s64[at + op.OPEN_SINCE] == 0:
        closed_at = s64[at + op.CLOSED_AT]
        if score >= open_above and (closed_at == 0 or as_of - closed_at >= cool_down):
            s64[at + op.EPISODE] += 1
            s64[at + op.OPEN_SINCE] = as_of
            return OPENED
    elif score < close_below:
        s64[at + op.OPEN_SINCE] = 0
        s64[at + op.CLOSED_AT] = as_of
        return CLOSED
    return 0


@compiled
def decide(
    rows: Array,
    scores: Array,
    thresholds: Array,
    rules: Array,
    step_micros: Integer,
    s64: Array,
    s8: Array,
    row64: Integer,
    rule: Array,
    why: Array,
    actions: Array,
) -> Any:
    """Take the decisions of ``rows`` (slot, as-of, row kind) in order; return the number of alert ``actions``.

    ``thresholds`` is (3,) by row kind; ``rules`` is (n_rules, 3, 3): rule, row kind, (open above, close below,
    cool-down in ms). ``why`` (n,) says why a score is published; an action is (position in rows, rule, OPENED or
    CLOSED, episode, opened at).
    """
    n_actions = 0
    for i in range(len(rows)):
        slot, as_of, row_kind = rows[i, 0], rows[i, 1], rows[i, 2]
        decision = slot * row64 + rule[RULE_DECISION_AT]
        score = scores[i]
        why[i] = NOT_PUBLISHED
        if row_kind != op.ENDED:
            band = 1 if score >= thresholds[row_kind] else 0
            why[i] = _publish(s64, decision, row_kind, int(score * 1e6 + 0.5), band, step_micros)
            if row_kind == op.TICK:
                day = as_of // op.DAY_MS
                place = slot * row64 * 8 + rule[RULE_MEMORY_AT] + day % rule[RULE_MEMORY_DAYS]
                s8[place] = score_bin(score) + 1
        for r in range(len(rules)):
            at = decision + op.N_DECISION + r * op.N_RULE
            opened_at = s64[at + op.OPEN_SINCE]
            if row_kind == op.ENDED:
                action = _alert(s64, at, -1.0, as_of, 2.0, 0.0, 0) if s64[at + op.OPEN_SINCE] != 0 else 0
            else:
                limits = rules[r, row_kind]
                action = _alert(s64, at, score, as_of, limits[OPEN_ABOVE], limits[CLOSE_BELOW], int(limits[COOL_DOWN]))
            if action:
                actions[n_actions, 0] = i
                actions[n_actions, 1] = r
                actions[n_actions, 2] = action
                actions[n_actions, 3] = s64[at + op.EPISODE]
                actions[n_actions, 4] = as_of if action == OPENED else opened_at
                n_actions += 1
    return n_actions
