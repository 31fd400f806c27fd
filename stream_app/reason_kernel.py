"""Shapley values of an ensemble's margin over the paths to its leaves: what TreeSHAP gives with path-dependent covers.

A leaf of value v whose path asks d features adds, for feature i, ``v (o_i - z_i)`` times the integral over t in [0, 1]
of the product of ``o_j t + z_j (1 - t)`` over the other features j: o is 1 where the row goes along, z the share of
training rows that did. The integrand has degree d - 1 <= 7, so four Gauss-Legendre points give it exactly.
"""

from __future__ import annotations

import numpy as np

from schemas.compiled import Array, compiled


@compiled
def add_contributions(
    x: Array,
    first: Array,
    feature: Array,
    low: Array,
    high: Array,
    missing: Array,
    factor: Array,
    share: Array,
    out: Array,
) -> None:
    """Add the contributions of the rows ``x`` (n, n_features) to ``out`` (n, n_features) float64.

    Leaf k asks the entries ``first[k]:first[k + 1]``: go along when ``low <= x < high``, or when missing and
    ``missing`` is 1. ``factor`` and ``share`` are (entries, 2, 4): by going along or not, at the four points; ``share``
    is weighted, times the leaf's value and (o - z), and divided by the entry's own factor.
    """
    for leaf in range(len(first) - 1):
        begin, end = first[leaf], first[leaf + 1]
        for i in range(len(x)):
            p0 = p1 = p2 = p3 = 1.0
            along = 0
            for e in range(begin, end):
                value = x[i, feature[e]]
                o = missing[e] if np.isnan(value) else int(low[e] <= value < high[e])
                along |= o << (e - begin)
                p0 *= factor[e, o, 0]
                p1 *= factor[e, o, 1]
                p2 *= factor[e, o, 2]
                p3 *= factor[e, o, 3]
            for e in range(begin, end):
                o = (along >> (e - begin)) & 1
                out[i, feature[e]] += (p0 * share[e, o, 0] + p1 * share[e, o, 1]) + (
                    p2 * share[e, o, 2] + p3 * share[e, o, 3]
                )
