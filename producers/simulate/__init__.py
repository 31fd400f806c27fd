"""Simulated customers of the default workload, with the truth beside them.

`simulate` yields days of events; `write_truth` writes what was planted and what an all-knowing forecaster would say.
NumPy only; all randomness comes from the seed. Nothing here writes events to Kafka or the lake.
"""

from producers.simulate.config import DRIFT_KINDS, Drift, SimulationConfig, SimulationError
from producers.simulate.engine import SimulatedDay, simulate
from producers.simulate.oracle import HORIZON_DAYS, OracleDay
from producers.simulate.truth import truth, write_truth

__all__ = [
    "DRIFT_KINDS",
    "HORIZON_DAYS",
    "Drift",
    "OracleDay",
    "SimulatedDay",
    "SimulationConfig",
    "SimulationError",
    "simulate",
    "truth",
    "write_truth",
]
