"""Planted concept drifts, and none: does the loop find them, retrain and swap, and keep quiet otherwise?

``python -m bench.seeds`` runs the story of ``driftline demo`` as `bench.loop` does, each seed with a drift and without.
Only tick rows are scored (``state.control[kernel.SAMPLE] = 0``). A signal is *false* when nothing had drifted by the
day that it was opened on. A drift is *answered* when a signal came after it and its model was released and has scored.
Signals about the model that answered are counted apart.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.loop import Loop
from driftline.demo import Story


def run_seed(seed: int, customers: int, has_drift: bool) -> dict[str, Any]:
    """One story from its first day to its last."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="driftline-seeds-") as home:
        loop = Loop(Path(home), Story(customers=customers, seed=seed), has_drift)
        loop.run()
    signals = loop.report()
    return {
        "seed": seed,
        "has_drift": has_drift,
        "signals": signals,
        "n_false": sum(signal["is_false"] for signal in signals),
        "n_about_new_model": sum(signal["model"] != signals[0]["model"] for signal in signals),
        "is_answered": any(
            signal["status"] == "released" and signal["active_from_day"] is not None
            for signal in signals
            if not signal["is_false"]
        ),
        "wall_s": round(time.perf_counter() - began, 1),
    }


def told(run: Mapping[str, Any]) -> list[str]:
    """Lines about a run."""
    head = f"{'drift' if run['has_drift'] else 'none ':5} seed {run['seed']:3}"
    if not run["signals"]:
        return [f"{head}: no signal{'' if not run['has_drift'] else ' (MISSED)'}, {run['wall_s']} s"]
    lines = []
    for signal in run["signals"]:
        gain = "" if signal["auc_gain"] is None else f", AUC gain {signal['auc_gain']:+.3f}"
        active = "" if signal["active_from_day"] is None else f", new model from day {signal['active_from_day']}"
        kind = "FALSE signal" if signal["is_false"] else f"signal {signal['delay_days']} days after the drift"
        lines.append(
            f"{head}: {kind} on day {signal['day']} about {signal['model']} ({signal['opened_for']}); "
            f"{signal['status']} on day {signal['ended_day']}{gain}{active}; {signal['verdict']}; {run['wall_s']} s"
        )
    return lines


def totals(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all runs amount to."""
    drifts, calm = [run for run in runs if run["has_drift"]], [run for run in runs if not run["has_drift"]]
    delays = [
        next(s["delay_days"] for s in run["signals"] if not s["is_false"]) for run in drifts if run["is_answered"]
    ]
    return {
        "n_drifts": len(drifts),
        "n_answered": sum(run["is_answered"] for run in drifts),
        "median_delay_days": float(np.median(delays)) if delays else None,
        "n_false_before_drift": sum(run["n_false"] for run in drifts),
        "n_about_new_model": sum(run["n_about_new_model"] for run in drifts),
        "n_calm": len(calm),
        "n_false_without_drift": sum(run["n_false"] for run in calm),
        "wall_s": round(sum(run["wall_s"] for run in runs), 1),
    }


def main() -> None:
    """Run all seeds, with and without a drift."""
    parser = argparse.ArgumentParser(prog="python -m bench.seeds", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="runs of each kind")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--customers", type=int, default=3000)
    parser.add_argument("--json", type=Path, help="where to write everything")
    options = parser.parse_args()
    world = Story.start + timedelta(days=Story.drift_after_days)
    print(f"{options.customers} customers, {Story.total_days} days, drift on day {Story.drift_after_days} ({world})")
    runs = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for has_drift in (True, False):
            runs.append(run_seed(seed, options.customers, has_drift))
            print("\n".join(told(runs[-1])), flush=True)
            if options.json:
                options.json.write_text(json.dumps({"totals": totals(runs), "runs": runs}, indent=1) + "\n")
    for name, value in totals(runs).items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
