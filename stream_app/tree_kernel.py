"""Margins of a boosted ensemble, bit-equal to XGBoost's: complete trees over blocks of rows, without branches and
without gathers.

Every node of a tree is evaluated for a whole block of rows and selects between the values below it, from the leaves
up, three levels at a time: loads, compares and selects of neighbouring floats that the compiler turns into vector
code. Building the tables and checking them against the library is in `trees`.
"""

from __future__ import annotations

import numpy as np

from schemas.compiled import Array, Integer, allocating, compiled

ROWS = 64  # of a block: its columns stay in the innermost cache


@compiled
def _columns_of(x: Array, first: Integer, n: Integer, source: Array, missing_left: Array, block: Array) -> None:
    """Transpose rows ``x[first:first + n]``; a missing value becomes -inf (goes left) in the columns that say so."""
    for c in range(len(source)):
        j = source[c]
        if missing_left[c]:
            for i in range(n):
                value = x[first + i, j]
                block[c, i] = -np.inf if np.isnan(value) else value
        else:
            for i in range(n):
                block[c, i] = x[first + i, j]


@compiled
def _halve(
    tree: Integer, n: Integer, block: Array, column: Array, threshold: Array, values: Array, spare: Array
) -> None:
    """One level: the values of ``2n`` subtrees become those of the ``n`` nodes above them."""
    for k in range(n):
        c, t = column[tree, n - 1 + k], threshold[tree, n - 1 + k]
        for i in range(ROWS):
            spare[k, i] = values[2 * k, i] if block[c, i] < t else values[2 * k + 1, i]
    for k in range(n):
        for i in range(ROWS):
            values[k, i] = spare[k, i]


@allocating
def walk_trees(
    x: Array,
    source: Array,
    missing_left: Integer,
    column: Array,
    threshold: Array,
    leaf: Array,
    base: Integer,
    out: Array,
) -> None:
    """Write the margins of ``x`` (n, n_features) to ``out`` (n,): float32 sums in tree order from ``base``.

    Column c of a block is feature ``source[c]``; ``missing_left[c]`` says where its missing values go. Trees are
    complete:
    ``column`` and ``threshold`` (n_trees, 2^depth - 1) in breadth-first order, ``leaf`` (n_trees, 2^depth), depth >= 3.
    Three levels at the leaves and three at the root are written out: cut into functions they ran at two thirds of the
    speed.
    """
    n_trees, n_leaves = leaf.shape
    n_low = n_leaves // 8  # subtrees of three levels at the leaves
    block = np.zeros((len(source), ROWS), np.float32)
    values = np.zeros((n_low, ROWS), np.float32)
    spare = np.zeros((n_low, ROWS), np.float32)
    total = np.zeros(ROWS, np.float32)
    for first in range(0, len(x), ROWS):
        n_rows = min(ROWS, len(x) - first)
        _columns_of(x, first, n_rows, source, missing_left, block)
        for i in range(ROWS):
            total[i] = base
        for tree in range(n_trees):
            for k in range(n_low):
                n0 = n_low - 1 + k
                n1, n3, at = 2 * n0 + 1, 4 * n0 + 3, 8 * k
                c0, c1, c2, c3 = column[tree, n0], column[tree, n1], column[tree, n1 + 1], column[tree, n3]
                c4, c5, c6 = column[tree, n3 + 1], column[tree, n3 + 2], column[tree, n3 + 3]
                t0, t1, t2, t3 = threshold[tree, n0], threshold[tree, n1], threshold[tree, n1 + 1], threshold[tree, n3]
                t4, t5, t6 = threshold[tree, n3 + 1], threshold[tree, n3 + 2], threshold[tree, n3 + 3]
                v0, v1, v2, v3 = leaf[tree, at], leaf[tree, at + 1], leaf[tree, at + 2], leaf[tree, at + 3]
                v4, v5, v6, v7 = leaf[tree, at + 4], leaf[tree, at + 5], leaf[tree, at + 6], leaf[tree, at + 7]
                for i in range(ROWS):
                    p = v0 if block[c3, i] < t3 else v1
                    q = v2 if block[c4, i] < t4 else v3
                    r = v4 if block[c5, i] < t5 else v5
                    s = v6 if block[c6, i] < t6 else v7
                    p = p if block[c1, i] < t1 else q
                    r = r if block[c2, i] < t2 else s
                    values[k, i] = p if block[c0, i] < t0 else r
            n = n_low
            while n not in (1, 8):
                n //= 2
                _halve(tree, n, block, column, threshold, values, spare)
            if n == 1:
                for i in range(ROWS):
                    total[i] += values[0, i]
                continue
            c0, c1, c2, c3 = column[tree, 0], column[tree, 1], column[tree, 2], column[tree, 3]
            c4, c5, c6 = column[tree, 4], column[tree, 5], column[tree, 6]
            t0, t1, t2, t3 = threshold[tree, 0], threshold[tree, 1], threshold[tree, 2], threshold[tree, 3]
            t4, t5, t6 = threshold[tree, 4], threshold[tree, 5], threshold[tree, 6]
            for i in range(ROWS):
                p = values[0, i] if block[c3, i] < t3 else values[1, i]
                q = values[2, i] if block[c4, i] < t4 else values[3, i]
                r = values[4, i] if block[c5, i] < t5 else values[5, i]
                s = values[6, i] if block[c6, i] < t6 else values[7, i]
                p = p if block[c1, i] < t1 else q
                r = r if block[c2, i] < t2 else s
                total[i] += p if block[c0, i] < t0 else r
        for i in range(n_rows):
            out[first + i] = total[i]
