"""A chain of fitted steps, from the plan's feature columns to the matrix of a model, and its way through JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from offline.errors import OfflineError
from offline.metrics import Floats
from offline.transforms.caps import Caps, fit_caps
from offline.transforms.components import Components, fit_components
from offline.transforms.encoding import Encoding, fit_encoding
from offline.transforms.imputation import Imputation, fit_imputation
from offline.transforms.interactions import Interactions, fit_interactions
from offline.transforms.options import TransformOptions
from offline.transforms.scaling import Scaling, fit_scaling
from offline.transforms.step import Names, Step
from stream_app.plan import FeatureColumn

Matrix = NDArray[np.float32]

STEPS: Final[Mapping[str, Callable[..., Step]]] = {
    "caps": Caps,
    "imputation": Imputation,
    "encoding": Encoding,
    "scaling": Scaling,
    "interactions": Interactions,
    "components": Components,
}


@dataclass(frozen=True)
class Transform:
    """What was fitted.

    Parameters
    ----------
    inputs
        Names of the feature columns that it takes, in order.
    steps
        Applied one after the other.
    """

    inputs: Names
    steps: tuple[Step, ...]

    def columns(self) -> Names:
        """Names of the columns it makes, k of them."""
        return self.steps[-1].columns if self.steps else self.inputs

    def matrix(self, X: Matrix) -> Floats:
        """The model's matrix (n, k) for feature rows (n, n_features).

        Raises
        ------
        OfflineError
            When the rows have another number of columns.
        """
        if X.shape[1] != len(self.inputs):
            raise OfflineError(f"rows have {X.shape[1]} columns; the transform takes {len(self.inputs)}")
        made = _known(X)
        for step in self.steps:
            made = step.matrix(made)
        return made

    def n_capped(self, X: Matrix) -> dict[str, int]:
        """How many values of each column the caps changed; columns without any are left out."""
        caps = next((step for step in self.steps if isinstance(step, Caps)), None)
        return {} if caps is None else caps.n_hit(_known(X))

    def as_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back."""
        names = {kind: name for name, kind in STEPS.items()}
        steps = [{"step": names[type(step)], **asdict(step)} for step in self.steps]  # type: ignore[call-overload]
        return {"inputs": list(self.inputs), "steps": steps}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Transform:
        """The transform that `as_json` told.

        Raises
        ------
        OfflineError
            When a step or one of its values is not known.
        """
        try:
            return cls(tuple(content["inputs"]), tuple(_step(entry) for entry in content["steps"]))
        except (KeyError, TypeError) as cause:
            raise OfflineError(f"a transform that cannot be read: {cause}") from cause


def _step(entry: Mapping[str, Any]) -> Step:
    return STEPS[entry["step"]](**{key: _tuples(value) for key, value in entry.items() if key != "step"})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _known(X: Matrix) -> Floats:
    made = X.astype(np.float64)
    made[~np.isfinite(made)] = np.nan
    return made


def fit_transform_spec(
    X: Matrix, y: Floats, columns: tuple[FeatureColumn, ...], options: TransformOptions | None = None
) -> Transform:
    """Fit every chosen step on these rows alone.

    Parameters
    ----------
    X
        Feature rows to fit on (n, n_features), NaN is missing.
    y
        Their outcomes (n,); used by target means and to choose interactions.
    columns
        The plan's feature columns.
    options
        None takes the defaults.

    Raises
    ------
    OfflineError
        When there is no row to fit on, or an option does not fit the columns.
    """
    if not len(X):
        raise OfflineError("a transform needs at least one row to be fitted on")
    chain = _Chain(X)
    chosen = TransformOptions() if options is None else options
    names = tuple(column.name for column in columns)
    is_categorical = [column.is_categorical for column in columns]
    if chosen.cap_share:
        chain.add(fit_caps(chain.made, names, is_categorical, chosen.cap_share))
    chain.add(fit_imputation(chain.made, names, is_categorical, chosen.impute, chosen.constant, chosen.indicators))
    chain.add(fit_encoding(chain.made, y, chain.names, columns, chosen.encoder, chosen.smoothing))
    if chosen.scale:
        chain.add(fit_scaling(chain.made, chain.names))
    if chosen.n_interacting > 1:
        chain.add(fit_interactions(chain.made, y, chain.names, chosen.n_interacting, chosen.important))
        if chosen.scale:
            chain.add(fit_scaling(chain.made, chain.names))
    if chosen.components is not None:
        chain.add(fit_components(chain.made, chosen.components))
    return Transform(names, tuple(chain.steps))


def fit_cleaning(X: Matrix, columns: tuple[FeatureColumn, ...], options: TransformOptions | None = None) -> Transform:
    """Caps and values for missing numbers alone, fitted on these rows (n, n_features): what a bundle carries.

    Raises
    ------
    OfflineError
        When there is no row to fit on.
    """
    if not len(X):
        raise OfflineError("caps need at least one row to be fitted on")
    chain, chosen = _Chain(X), TransformOptions() if options is None else options
    names = tuple(column.name for column in columns)
    is_categorical = [column.is_categorical for column in columns]
    chain.add(fit_caps(chain.made, names, is_categorical, chosen.cap_share))
    chain.add(fit_imputation(chain.made, names, is_categorical, chosen.impute, chosen.constant, False))
    return Transform(names, tuple(chain.steps))


class _Chain:
    """Steps so far and what they made of the fitted rows."""

    def __init__(self, X: Matrix) -> None:
        self.steps: list[Step] = []
        self.made = _known(X)

    @property
    def names(self) -> Names:
        """Columns so far."""
        return self.steps[-1].columns

    def add(self, step: Step) -> None:
        """Append a fitted step and apply it."""
        self.steps.append(step)
        self.made = step.matrix(self.made)
