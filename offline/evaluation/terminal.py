"""The full evaluation in a few lines for the terminal, beside the short one's table; the page has the rest."""

from __future__ import annotations

from typing import Any

from offline.evaluation.page import span


def evaluation_summary(found: dict[str, Any]) -> list[str]:
    """What a reader of the terminal should know, most important first."""
    tick = found["metrics"]["tick"]
    at = tick["at_threshold"]
    alarm = f"{span(at['alert_rate'])} flagged, precision {span(at['precision'])}, recall {span(at['recall'])}"
    gap = f"mean score less share that left {span(tick['gap'])}, expected error {span(tick['ece'])}"
    lines = [
        f"At the threshold {tick['threshold']:.3f}: {alarm}, balanced accuracy {span(at['balanced_accuracy'])}.",
        f"Calibration: {gap}; {found['calibrators']['text']}.",
    ]
    if "profit" in found:
        lines += _profit(found["profit"])
    worse = found["slices"]["much_worse"]
    lines.append(f"Slices: {'; '.join(worse) if worse else 'none is much worse beyond doubt'}.")
    for name, table in found.get("fairness", {"attributes": {}})["attributes"].items():
        differs = "; ".join(table["differs"]) or f"nothing differs beyond doubt from {table['reference']}"
        lines.append(f"Fairness by {name}: {differs}.")
    leaves = found["errors"]["gather"]["leaves"]
    if leaves:
        lines.append(f"Errors gather where {leaves[0]['where']}: {span(leaves[0]['wrong'])} are wrong.")
    return lines


def _profit(profit: dict[str, Any]) -> list[str]:
    ways = ", ".join(f"{way['who']} {span(way['profit'], 0)}" for way in profit["ways"] if way["who"] != "nobody")
    return [f"Profit per 1,000 customers: {ways}; a contact pays from {profit['break_even']:.3f} on."]
