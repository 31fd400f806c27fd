"""What the linear and other unreleased models do to feature columns first: fitted on training rows alone, kept as JSON.

In the order in which a matrix meets them: `caps`, `imputation`, `encoding`, `scaling`, `interactions`, `components`;
`spec` chains them. The released booster takes the plan's columns as they are, so none of this reaches the stream; caps
and imputation travel in its bundle, for whoever wants to clean rows as in training, and to count what lies beyond.
"""

from offline.transforms.options import TransformOptions
from offline.transforms.spec import Transform, fit_cleaning, fit_transform_spec

__all__ = ["Transform", "TransformOptions", "fit_cleaning", "fit_transform_spec"]
