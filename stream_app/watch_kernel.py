"""Integer summaries for drift: what happened in each step of event flow, and histograms of tick rows on the reference's bins."""

from __future__ import annotations

import numpy as np

from schemas.compiled import compiled
from stream_app import opcodes as op


@compiled
def count_steps(order, status, source, known_time, kind, values, field_at, n_fields, step_ms, first_step, steps, refused):
    """Add the events ``order`` to per-step sums; returns the newest step.

    A step is ``known_time // step_ms`` and never goes back: an event that is older than the newest step counts in the newest.
    ``steps`` is (n, n_kinds + 3 * n_values): events by kind, then nulls, sums and numbers of values by field; ``refused`` is (n, n_reasons).
    """
    n_kinds = steps.shape[1] - 3 * field_at[-1]
    n_values = field_at[-1]
    step = first_step
    for q in range(len(order)):
        i = order[q]
        if status[i] < op.REFUSED:
            step = max(step, known_time[i] // step_ms)
        row = step - first_step
        if status[i] >= op.REFUSED:
            refused[row, status[i] - op.REFUSED] += 1
            continue
        if status[i] != op.APPLIED:
            continue
        steps[row, kind[i]] += 1
        base = n_kinds + field_at[source[i]]
        for j in range(n_fields[source[i]]):
            value = values[i, j]
            if value == op.NONE:
                steps[row, base + j] += 1
            else:
                steps[row, base + n_values + j] += value
                steps[row, base + 2 * n_values + j] += 1
    return step


@compiled
def count_bins(x, rows, edges, histograms):
    """Add tick rows to ``histograms`` (n_features, 11): ten bins and one for missing. Other row kinds are passed over."""
    for i in range(len(rows)):
        if rows[i, 2] != op.TICK:
            continue
        for j in range(x.shape[1]):
            value = x[i, j]
            if np.isnan(value):
                histograms[j, op.N_BINS - 1] += 1
                continue
            low, high = 0, edges.shape[1]
            while low < high:
                middle = (low + high) >> 1
                if edges[j, middle] <= value:
                    low = middle + 1
                else:
                    high = middle
            histograms[j, low] += 1
