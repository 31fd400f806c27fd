"""Error analysis: the rows that the model got most confidently wrong, what drove it, and where errors gather.

False alarms are compared with the other stayers, missed leavers with the other leavers: what is common to all of them
explains no error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline.bootstrap import interval_of
from offline.cutoffs import date_text
from offline.evaluate import as_json, number
from offline.evaluation.confusion import ratio
from offline.evaluation.learners import Split, fit_shallow_tree
from offline.evaluation.scored import Scored, hashed
from offline.evaluation.slicing import by_category
from offline.metrics import Floats
from offline.models import Matrix
from offline.training_set import Bools
from schemas.durations import DAY_MS
from stream_app.plan import FeatureColumn

N_WORST: Final = 10
N_FEATURES: Final = 10
N_EXPLAINED: Final = 2_000
MAX_DEPTH: Final = 3
MIN_LEAF_SHARE: Final = 0.05
MIN_LEAF_ROWS: Final = 50

Contributions = Callable[[Matrix], NDArray[np.float32]]


def mistakes(scored: Scored, contributions: Contributions, key: str, show_ids: bool = False) -> dict[str, Any]:
    """The whole error analysis.

    Parameters
    ----------
    scored
        Tick rows.
    contributions
        What each feature adds to the margin, (n, n_features) in log odds.
    key
        Of the hash that stands for a customer id.
    show_ids
        Whether customers are named instead.
    """
    shown = (lambda name: name) if show_ids else (lambda name: hashed(name, key))
    flagged, left = scored.flagged, scored.y > 0
    return {
        "false_alarms": worst(scored, flagged & ~left, True, contributions, shown),
        "missed_leavers": worst(scored, ~flagged & left, False, contributions, shown),
        "drivers": {
            "false_alarms": drivers(scored, flagged & ~left, ~flagged & ~left, contributions),
            "missed_leavers": drivers(scored, ~flagged & left, flagged & left, contributions),
        },
        "gather": gathered(scored),
    }


def worst(
    scored: Scored, wrong: Bools, is_high: bool, contributions: Contributions, shown: Callable[[str], str]
) -> list[dict[str, Any]]:
    """The most confident of the wrong rows, one for each customer, with the features that pushed the wrong way."""
    sign = 1.0 if is_high else -1.0
    rows = np.flatnonzero(wrong)
    rows = rows[np.argsort(-sign * scored.probability[rows], kind="stable")]
    first = np.sort(np.unique(scored.customer[rows], return_index=True)[1])
    rows = rows[first[:N_WORST]]
    pushed = sign * np.asarray(contributions(scored.X[rows])) if len(rows) else np.zeros((0, len(scored.columns)))
    return [
        {
            "customer": shown(str(scored.customer_id[i])),
            "as_of": date_text(int(scored.as_of_ms[i] // DAY_MS)),
            "probability": float(scored.probability[i]),
            "threshold": float(scored.threshold[i]),
            "reasons": [
                {
                    "feature": scored.columns[j].name,
                    "value": value_text(scored.columns[j], float(scored.X[i, j])),
                    "contribution": float(sign * push[j]),
                }
                for j in np.argsort(-push, kind="stable")[:3]
                if push[j] > 0
            ],
        }
        for i, push in zip(rows.tolist(), pushed, strict=True)
    ]


def drivers(scored: Scored, wrong: Bools, right: Bools, contributions: Contributions) -> list[dict[str, Any]]:
    """Features whose mean contribution differs most between wrong rows and right rows of the same outcome."""
    if not wrong.any() or not right.any():
        return []
    means = [_mean_contribution(scored, rows, contributions) for rows in (wrong, right)]
    order = np.argsort(-np.abs(means[0] - means[1]), kind="stable")[:N_FEATURES]
    return [
        {
            "feature": scored.columns[j].name,
            "wrong": float(means[0][j]),
            "right": float(means[1][j]),
            "difference": float(means[0][j] - means[1][j]),
        }
        for j in order
    ]


def gathered(scored: Scored) -> dict[str, Any]:
    """Leaves of a shallow tree of wrong and right rows: grown on half the customers, told on the other half."""
    half = np.random.default_rng(0).permutation(int(scored.customer.max(initial=-1)) + 1) % 2 == 0
    grown, told = scored.take(half[scored.customer]), scored.take(~half[scored.customer])
    wrong = (grown.flagged != (grown.y > 0)).astype(np.float64)
    if min(len(grown), len(told)) < 4 * MIN_LEAF_ROWS or not wrong.any():
        return {"leaves": [], "text": "too few rows or errors to tell where they gather"}
    names, X = question_columns(grown)
    tree = fit_shallow_tree(X, wrong, MAX_DEPTH, max(MIN_LEAF_ROWS, round(MIN_LEAF_SHARE * len(X))))
    leaf = tree.leaf_of(question_columns(told)[1])
    leaves = [_leaf(told, leaf == i, questions_text(questions, names)) for i, questions in tree.leaves.items()]
    leaves = sorted((one for one in leaves if one["n"]), key=lambda one: -one["wrong"]["value"])
    return {"leaves": leaves, "text": "grown on half the customers, told on the other half"}


def _leaf(told: Scored, inside: Bools, where: str) -> dict[str, Any]:
    wrong = told.flagged != (told.y > 0)
    rows = inside.astype(np.float64)
    sums = told.resampled.sums(np.column_stack([rows * wrong, rows]))
    n = int(inside.sum())
    return {
        "where": where,
        "n": n,
        "wrong": as_json(interval_of(ratio(sums[:, 0], sums[:, 1]))),
        "n_false_alarms": int((inside & wrong & (told.y == 0)).sum()),
        "n_missed": int((inside & wrong & (told.y > 0)).sum()),
        "base_rate": number(float(told.y[inside].mean())) if n else None,
        "score": number(float(told.probability[inside].mean())) if n else None,
    }


def question_columns(scored: Scored) -> tuple[list[tuple[str, str]], Floats]:
    """((feature, category or "") per column, matrix with a 0-1 column for each category, (n, k))."""
    names: list[tuple[str, str]] = []
    columns: list[Floats] = []
    for j, feature in enumerate(scored.columns):
        values = scored.X[:, j].astype(np.float64)
        if not feature.is_categorical:
            names.append((feature.name, ""))
            columns.append(np.where(np.isfinite(values), values, np.nan))
            continue
        slicing = by_category(values, feature.categories)
        for i, category in enumerate(slicing.names):
            names.append((feature.name, category))
            columns.append(slicing.rows(i).astype(np.float64))
    return names, np.column_stack(columns)


def questions_text(questions: tuple[Split, ...], names: list[tuple[str, str]]) -> str:
    """The way to a leaf in words; of several questions of one kind the last is the strictest."""
    last = {(question.column, question.is_above): question for question in questions}
    said = []
    for question in last.values():
        feature, category = names[question.column]
        if category:
            said.append(f"{feature} is {'' if question.is_above else 'not '}{category}")
        else:
            missing = " or missing" if question.takes_missing else ""
            said.append(f"{feature} {'>' if question.is_above else '<='} {question.at:.4g}{missing}")
    return " and ".join(said) if said else "everywhere"


def value_text(feature: FeatureColumn, value: float) -> str:
    """A feature's value as a reader knows it."""
    if np.isnan(value):
        return "missing"
    if feature.is_categorical:
        return feature.categories[int(value)] if 0 <= value < len(feature.categories) else "unseen"
    return f"{value:.4g}"


def _mean_contribution(scored: Scored, rows: Bools, contributions: Contributions) -> Floats:
    chosen = np.flatnonzero(rows)
    if len(chosen) > N_EXPLAINED:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, N_EXPLAINED, replace=False))
    return np.asarray(np.asarray(contributions(scored.X[chosen]), dtype=np.float64).mean(axis=0))
