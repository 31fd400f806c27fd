"""Promotion of a version: judged at every gate, released when none keeps it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from offline.errors import OfflineError, ReleaseError
from offline.gates import (
    Gate,
    better_gate,
    calibration_gate,
    features_gate,
    latency_gate,
    onnx_gate,
    skill_gate,
    slices_gate,
    workload_gate,
)
from offline.held_out import Contestant, held_out
from offline.history import BatchHistory
from offline.passing import Say
from offline.registry import Registry
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload
from stream_app.model import RULE_VERSION, BoosterModel

BUDGET_US = 10.0
DATA_GATES = ("better", "calibrated", "slices", "features", "latency")


@dataclass(frozen=True)
class Judgement:
    """A version at every gate.

    Parameters
    ----------
    champion
        What it was compared with: the version that scores now, or the rule.
    """

    version: str
    bundle_id: str
    champion: str
    gates: tuple[Gate, ...]

    @property
    def failed(self) -> list[str]:
        """Names of the gates that keep it out."""
        return [gate.name for gate in self.gates if gate.keeps_out]

    def lines(self) -> list[str]:
        """A line for each gate."""
        return [f"{self.version} (bundle {self.bundle_id[:16]}) beside {self.champion}"] + [
            gate.line() for gate in self.gates
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return {
            "version": self.version,
            "bundle_id": self.bundle_id,
            "champion": self.champion,
            "gates": [gate.as_json() for gate in self.gates],
            "failed": self.failed,
        }


def judge_version(
    settings: Settings,
    workload: Workload,
    version: str,
    clock_s: Callable[[], float],
    *,
    budget_us: float = BUDGET_US,
    say: Say = lambda _: None,
) -> Judgement:
    """Take a version to every gate.

    Parameters
    ----------
    clock_s
        Reads a clock in seconds, for the latency budget.
    budget_us
        Microseconds that scoring a row may take.

    Raises
    ------
    ReleaseError
        When it is the champion already.
    """
    challenger = Contestant.of(settings, workload, version)
    assert challenger.bundle is not None, "the rule is no version"
    named = Registry.of(settings, workload.name).alias("champion")
    if named == challenger.version:
        raise ReleaseError(named, "it is the champion already")
    champion = Contestant.of(settings, workload, named or RULE_VERSION)
    gates = [workload_gate(challenger.bundle, workload), skill_gate(challenger.bundle)]
    try:
        gates += _on_data(settings, challenger, champion, clock_s, budget_us, say)
    except OfflineError as error:
        gates += [Gate(name, False, f"cannot be judged: {error}") for name in DATA_GATES]
    say("comparing with its ONNX form")
    gates.append(onnx_gate(challenger.bundle))
    return Judgement(challenger.version, challenger.bundle.manifest.bundle_id, champion.version, tuple(gates))


def _on_data(
    settings: Settings,
    challenger: Contestant,
    champion: Contestant,
    clock_s: Callable[[], float],
    budget_us: float,
    say: Say,
) -> list[Gate]:
    found = held_out(settings, challenger, champion, say)
    model = challenger.model(found.testing)
    assert isinstance(model, BoosterModel)
    say(f"judging on {len(found.rows)} rows")
    gates = [better_gate(found, champion.version), calibration_gate(found), slices_gate(found, champion.version)]
    say("computing features again by other code")
    gates.append(features_gate(found, BatchHistory(Lake(settings.lake_dir), challenger.workload)))
    return [*gates, latency_gate(found, model, budget_us, clock_s)]
