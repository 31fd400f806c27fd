"""A bar chart of events per second on a logarithmic axis, as SVG written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from bench.peers.engines import TITLES

LEFT, RIGHT, TOP, BAR, GAP = 270, 110, 56, 15, 16
WIDTH = 860
COLOURS = ("#2f6f9f", "#8fb8d6", "#b9c4cc")
OURS = ("#c2571a", "#e5a277", "#ecc9b2")


def picture_of(found: Mapping[str, Any]) -> str:
    """Bars by engine, one for each key distribution, fastest first; a line tells smallest and largest."""
    parts = found["keys"]
    medians: dict[str, float] = {}
    for part in parts.values():
        for engine, row in part["engines"].items():
            medians[engine] = max(medians.get(engine, 0.0), row["events_per_s"]["median"])
    engines = sorted(medians, key=lambda engine: -medians[engine])
    low = math.floor(math.log10(min(medians.values(), default=1.0) * 0.8))
    high = math.ceil(math.log10(max(medians.values(), default=10.0) * 1.05))
    group = BAR * len(parts) + GAP
    height = TOP + group * len(engines) + 40

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(max(value, 10.0**low)) - low) / max(high - low, 1)

    font = 'font-family="sans-serif" font-size="12" fill="#222"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {font}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="22" font-size="15">Events per second on one core, {escape(found["engine"])}</text>',
        *_legend(list(parts)),
        *_axis(x, low, high, height),
    ]
    for i, engine in enumerate(engines):
        lines += _bars(engine, TOP + i * group, parts, x)
    return "\n".join([*lines, "</svg>", ""])


def _legend(keys: list[str]) -> list[str]:
    lines = []
    for i, name in enumerate(keys):
        lines.append(f'<rect x="{16 + 110 * i}" y="32" width="11" height="11" fill="{COLOURS[i % 3]}"/>')
        lines.append(f'<text x="{32 + 110 * i}" y="42">{escape(name)} keys</text>')
    return lines


def _axis(x: Any, low: int, high: int, height: int) -> list[str]:
    lines = []
    for power in range(low, high + 1):
        at = x(10.0**power)
        lines.append(f'<line x1="{at:.1f}" y1="{TOP - 6}" x2="{at:.1f}" y2="{height - 30}" stroke="#ddd"/>')
        lines.append(f'<text x="{at:.1f}" y="{height - 14}" text-anchor="middle">{10**power:,}</text>')
    return lines


def _bars(engine: str, top: int, parts: Mapping[str, Any], x: Any) -> list[str]:
    colours = OURS if engine.startswith("ours") else COLOURS
    middle = top + BAR * len(parts) / 2 + 4
    lines = [f'<text x="{LEFT - 10}" y="{middle:.1f}" text-anchor="end">{escape(TITLES[engine])}</text>']
    for i, part in enumerate(parts.values()):
        row = part["engines"].get(engine)
        if row is None:
            continue
        value, y = row["events_per_s"], top + BAR * i
        width, line_y = x(value["median"]) - LEFT, y + (BAR - 2) / 2
        lines.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colours[i % 3]}"/>')
        lines.append(
            f'<line x1="{x(value["min"]):.1f}" y1="{line_y}" x2="{x(value["max"]):.1f}" y2="{line_y}" stroke="#222"/>'
        )
        lines.append(f'<text x="{x(value["max"]) + 6:.1f}" y="{y + BAR - 4}">{value["median"]:,.0f}</text>')
    return lines
