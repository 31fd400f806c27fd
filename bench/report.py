"""The table of a benchmark: medians, ranges and ratios, as text and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.compare import Agreement
from bench.heart import Heart
from bench.run import Run

NAMES = {"ours": "driftline worker", "numpy": "confluent-kafka + NumPy", "faust": "stock Faust"}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def figures(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Figures of one key distribution: engines, and ours as a multiple of each baseline, run by run."""
    found: dict[str, Any] = {"engines": {}, "ratios": {}}
    for engine, mine in runs.items():
        found["engines"][engine] = {
            "events": mine[0].n_events,
            "events_per_s": spread([run.events_per_s for run in mine]),
            "events_per_cpu_s": spread([run.n_events / run.cpu_s for run in mine]),
            "rows_scored_per_s": spread([run.rows_per_s for run in mine]),
            "rss_mb": spread([run.rss_mb for run in mine]),
        }
        if engine != "ours" and "ours" in runs:
            pairs = list(zip(runs["ours"], mine, strict=True))
            found["ratios"][engine] = {
                "wall": spread([a.events_per_s / b.events_per_s for a, b in pairs]),
                "cpu": spread([a.n_events / a.cpu_s / (b.n_events / b.cpu_s) for a, b in pairs]),
            }
    if "ours" in runs:
        found["worker"] = _worker([run.outputs for run in runs["ours"]])
    return found


def _worker(outputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "first_score_after_s": spread([o["first_score_after_s"] for o in outputs]),
        "state_bytes_written_per_dirty": spread([o["state_bytes_written"] / o["state_bytes_dirty"] for o in outputs]),
        "state_mb_written": spread([o["state_bytes_written"] / 1e6 for o in outputs]),
        "row_bytes": outputs[0]["row_bytes"],
        "scores_published": outputs[-1]["scores_published"],
    }


def print_figures(keys: str, found: Mapping[str, Any], agreements: Mapping[str, Agreement]) -> None:
    """Print one key distribution."""
    print(f"\n{keys} keys")
    print(f"  {'':<26}{'events/s':>26}{'events/CPU s':>14}{'rows scored/s':>15}{'MiB':>6}   ours is")
    for engine, row in found["engines"].items():
        ratio = found["ratios"].get(engine)
        times = "" if ratio is None else f"{_range(ratio['wall'], '.1f')} x, by CPU {_range(ratio['cpu'], '.1f')} x"
        print(
            f"  {NAMES[engine]:<26}{_range(row['events_per_s'], ',.0f'):>26}{row['events_per_cpu_s']['median']:>14,.0f}"
            f"{row['rows_scored_per_s']['median']:>15,.0f}{row['rss_mb']['median']:>6.0f}   {times}"
        )
    for engine, agreement in agreements.items():
        print(f"  {NAMES[engine]}: outputs {'agree' if agreement.is_full else 'DIFFER'}")
        for line in agreement.lines:
            print(f"    {line}")
    if "worker" in found:
        worker = found["worker"]
        print(
            f"  first score {worker['first_score_after_s']['median']:.1f} s after the process began (warm cache); "
            f"{worker['row_bytes']} bytes a customer; state written / dirty "
            f"{worker['state_bytes_written_per_dirty']['median']:.2f} ({worker['state_mb_written']['median']:.0f} MB)"
        )


def _range(values: Mapping[str, float], form: str) -> str:
    median, low, high = (format(values[name], form) for name in ("median", "min", "max"))
    return f"{median} ({low}-{high})"


def print_profile(keys: str, heart: Heart) -> None:
    """Print where the heart's time goes."""
    n = heart.data.n_events
    print(
        f"\n{keys} keys, the heart alone (memory to memory): {n / heart.seconds:,.0f} events/s, "
        f"{heart.n_rows / heart.seconds:,.0f} rows scored/s"
    )
    for stage, seconds in sorted(heart.stages.items(), key=lambda item: -item[1]):
        print(f"  {stage:<22}{1e6 * seconds / n:>8.2f} us/event{100 * seconds / heart.seconds:>7.1f} %")
