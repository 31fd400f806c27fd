"""Integer summaries for drift: what happened in each step of event flow, and histograms of tick rows on the
reference's bins.
"""

from __future__ import annotations

import numpy as np

from schemas.compiled import Array, compiled
from stream_app import opcodes as op


@compiled
def count_steps(
    order: Array,
    rows: Array,
    status: Array,
    source: Array,
    kind: Array,
    values: Array,
    field_at: Array,
    n_fields: Array,
    steps: Array,
    refused: Array,
) -> None:
    """Add the events ``order`` to the sums of their steps, at ``rows`` (as long as ``order``).

    ``steps`` is (n, n_kinds + 3 * n_values): events by kind, then nulls, sums and numbers of values by field;
    ``refused`` is (n, n_reasons).
    """
    n_kinds = steps.shape[1] - 3 * field_at[-1]
    n_values = field_at[-1]
    for q in range(len(order)):
        i, row = order[q], rows[q]
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


@compiled
def count_bins(x: Array, rows: Array, edges: Array, histograms: Array) -> None:
    """Add tick rows to ``histograms`` (n_features, 11): ten bins and one for missing. Other row kinds are passed
    over.
    """
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
