"""The only module of the ladder that imports scikit-learn: its estimators as models with a margin, and its clusters.

One thread, a seed for each estimator. An optimiser that stopped early is told as a note, not as a warning.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

from offline.ladder.family import log_odds
from offline.metrics import Floats
from offline.models import Matrix
from offline.transforms import Transform

Kind = Literal["logistic", "tree", "forest", "linear svm", "rbf svm", "mlp"]

NOT_CONVERGED = "stopped before it converged"


@dataclass(frozen=True, eq=False)
class ScikitModel:
    """A fitted estimator.

    Parameters
    ----------
    transform
        Applied to feature rows first; None hands them over as they are.
    unit
        What its decisions are divided by.
    """

    estimator: Any
    transform: Transform | None
    notes: tuple[str, ...]
    unit: float = 1.0

    def margin(self, X: Matrix) -> Floats:
        """The estimator's decision function in its unit, or the log odds of its probability, (n,)."""
        import numpy as np

        if not len(X):
            return np.zeros(0)
        rows = X if self.transform is None else self.transform.matrix(X)
        if hasattr(self.estimator, "decision_function"):
            return np.asarray(self.estimator.decision_function(rows), dtype=np.float64) / self.unit
        return log_odds(self.estimator.predict_proba(rows)[:, 1])


def fit_estimator(
    kind: Kind, X: Matrix, y: Floats, transform: Transform | None, seed: int, notes: tuple[str, ...] = (), **chosen: Any
) -> ScikitModel:
    """Fit an estimator of this kind with these hyperparameters on transformed rows.

    The decisions of a support vector machine have no unit: they are told in standard deviations over the fitted rows,
    so that a calibration still holds when it is fitted once more on more rows.
    """
    from sklearn.exceptions import ConvergenceWarning

    estimator = _estimator(kind, chosen | {"random_state": seed})
    rows = X if transform is None else transform.matrix(X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        estimator.fit(rows, y)
    stopped = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    told = notes + (NOT_CONVERGED,) * (stopped and kind != "mlp")
    spread = float(estimator.decision_function(rows).std()) if kind in ("linear svm", "rbf svm") else 0.0
    return ScikitModel(estimator, transform, told, spread or 1.0)


def _estimator(kind: Kind, chosen: dict[str, Any]) -> Any:
    if kind == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=500, **chosen)
    if kind == "tree":
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(**chosen)
    if kind == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_jobs=1, **chosen)
    if kind == "mlp":
        from sklearn.neural_network import MLPClassifier

        return MLPClassifier(**chosen)
    from sklearn.svm import SVC, LinearSVC

    return LinearSVC(**chosen) if kind == "linear svm" else SVC(kernel="rbf", **chosen)


def clusters(X: Floats, k: int, seed: int) -> tuple[Floats, Any]:
    """(centres (k, n_columns), cluster of each row (n,)) by K-means (Lloyd), the best of four starts."""
    from sklearn.cluster import KMeans

    found = KMeans(k, n_init=4, random_state=seed).fit(X)
    return found.cluster_centers_, found.labels_


def silhouette(X: Floats, label: Any) -> float:
    """Mean silhouette of the rows (Rousseeuw 1987); -1 worst, 1 best."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(X, label))
