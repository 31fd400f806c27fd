"""Does an ONNX file answer as the stream does? Measured, row by row, in ONNX Runtime: a report with a verdict.

The only module that touches onnxruntime.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offline.booster_trees import grown_trees
from offline.boundary_rows import Rows32, trying_rows
from offline.onnx_export import INPUT, OUTPUT
from offline.training_set import ROW_KINDS
from schemas.bundle import Bundle
from stream_app.model import BoosterModel, calibrated
from stream_app.plan import Plan

LIMIT = 1e-5
ROWS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Parity:
    """How far the answers of an ONNX file lie from the stream's.

    Parameters
    ----------
    n_rows
        Rows tried, by what they try.
    n_splits
        Splits of the model; each was tried from both sides, at its cut and missing.
    margin, probability
        Largest absolute difference by what was tried; infinite when an answer is missing.
    """

    version: str
    bundle_id: str
    onnx_sha256: str
    n_splits: int
    n_rows: dict[str, int]
    margin: dict[str, float]
    probability: dict[str, float]

    @property
    def largest(self) -> tuple[float, float]:
        """(margin, probability) over all rows."""
        return max(self.margin.values()), max(self.probability.values())

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs by more than the limit."""
        return max(self.largest) <= LIMIT

    def line(self) -> str:
        """The verdict in one line."""
        margin, probability = self.largest
        return (
            f"{sum(self.n_rows.values())} rows, {self.n_splits} splits from both sides: margin differs by at most "
            f"{margin:.1e}, probability by {probability:.1e} (limit {LIMIT:.0e})"
        )

    def as_json(self) -> dict[str, Any]:
        """Content of ``onnx_parity.json``."""
        margin, probability = self.largest
        return {
            "version": self.version,
            "bundle_id": self.bundle_id,
            "onnx_sha256": self.onnx_sha256,
            "verdict": "equal" if self.is_equal else "different",
            "limit": LIMIT,
            "n_rows": sum(self.n_rows.values()),
            "n_splits": self.n_splits,
            "max_abs_difference": {"margin": _number(margin), "probability": _number(probability)},
            "tried": {
                name: {
                    "n_rows": n,
                    "margin": _number(self.margin[name]),
                    "probability": _number(self.probability[name]),
                }
                for name, n in self.n_rows.items()
            },
            "libraries": {name: version(name) for name in ("onnx", "onnxruntime", "xgboost")},
        }


def compare_onnx(data: bytes, bundle: Bundle, model: BoosterModel, plan: Plan, seed: int = 0) -> Parity:
    """Run the file and the model on rows that try everything.

    Parameters
    ----------
    data
        The ONNX file, which may be anybody's: input ``features``, output ``margin``.
    seed
        Of the random rows.
    """
    trees, _ = grown_trees(model)
    tried = trying_rows(trees, plan.columns, seed)
    session = _session(data)
    margins, probabilities = {}, {}
    for name, rows in tried.items():
        found, expected = _margin(session, rows), model.margin(rows)
        margins[name] = _distance(found, expected)
        probabilities[name] = max(
            _distance(_probability(model, found, kind), _probability(model, expected, kind))
            for kind in range(len(ROW_KINDS))
        )
    return Parity(
        bundle.manifest.version,
        bundle.manifest.bundle_id,
        hashlib.sha256(data).hexdigest(),
        sum(not tree.is_leaf(node) for tree in trees for node in range(len(tree))),
        {name: len(rows) for name, rows in tried.items()},
        margins,
        probabilities,
    )


def _session(data: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _margin(session: Any, rows: Rows32) -> NDArray[np.float32]:
    parts = [
        session.run([OUTPUT], {INPUT: rows[at : at + ROWS_AT_ONCE]})[0].ravel()
        for at in range(0, len(rows), ROWS_AT_ONCE)
    ]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def _probability(model: BoosterModel, margin: NDArray[np.float32], kind: int) -> NDArray[np.float32]:
    kinds = np.full(len(margin), kind)
    return calibrated(margin, model.slope[kinds], model.intercept[kinds])


def _distance(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Largest absolute difference; infinite where one is no number."""
    apart = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None
