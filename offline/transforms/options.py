"""What to do to the feature columns, as a user chooses it; nothing fitted here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from offline.errors import OfflineError

Encoder = Literal["one_hot", "target", "ordinal"]
Impute = Literal["median", "constant"]


@dataclass(frozen=True)
class TransformOptions:
    """Choices; the defaults suit a linear model.

    Parameters
    ----------
    cap_share
        Numbers are capped at this quantile and at one minus it; 0 caps nothing.
    impute, constant
        What a missing number becomes: the median of the fitted rows, or `constant`.
    indicators
        Add a column "is missing" for every number that is missing in some fitted rows.
    encoder
        How a category becomes numbers.
    smoothing
        encoder target: rows of the overall mean that a category is mixed with.
    scale
        Bring every column to mean 0 and standard deviation 1.
    n_interacting
        Add the products of each pair of this many most important columns.
    important
        Names of columns, the most important first; empty takes those that correlate most with y. Either way of the
        columns after encoding.
    components
        Replace the columns by this many principal components (a whole number), or by as many as hold this share of the
        variance (below 1); None keeps the columns.
    """

    cap_share: float = 0.001
    impute: Impute = "median"
    constant: float = 0.0
    indicators: bool = True
    encoder: Encoder = "one_hot"
    smoothing: float = 20.0
    scale: bool = True
    n_interacting: int = 0
    important: tuple[str, ...] = ()
    components: int | float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.cap_share < 0.5:
            raise OfflineError(f"cap_share = {self.cap_share} is out of range; allowed is 0 to below 0.5")
        if self.smoothing < 0.0:
            raise OfflineError(f"smoothing = {self.smoothing} is out of range; allowed is 0 and above")
        if self.components is not None and not self.components > 0:
            raise OfflineError(f"components = {self.components} is out of range; allowed is above 0")
