"""What `python -m bench.peers` writes: a table as text and Markdown, all figures as JSON, and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.peers.engines import TITLES
from bench.peers.picture import picture_of

NOTES = """
* Medians with the smallest and largest of the runs. Every engine is a process of its own on one core, broker and
  benchmark on the other; runs are interleaved.
* *Ours is* compares run by run: by the wall clock, and by the CPU seconds of the process, which a busy machine disturbs
  less.
* Kafka Streams runs the day several times in one JVM, and the last pass counts. The slow engines run on the first
  events of the day, without its tick.
""".strip()


def save(folder: Path, name: str, found: Mapping[str, Any]) -> list[Path]:
    """Write the three files, and say which."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{name}.{suffix}" for suffix in ("json", "md", "svg")]
    files[0].write_text(json.dumps(found, indent=1) + "\n")
    files[1].write_text(markdown(found, files[2].name))
    files[2].write_text(picture_of(found))
    return files


def markdown(found: Mapping[str, Any], picture: str) -> str:
    """The table of all key distributions."""
    lines = [f"# The same job on other engines: {found['engine']}", "", f"![events per second]({picture})", ""]
    for keys, part in found["keys"].items():
        lines += [f"## {keys} keys", "", *_table(part), ""]
        lines += [*(f"* {line}" for line in told(part)), ""]
    lines += [*(f"* {TITLES[engine]} was left out: {why}" for engine, why in found["missing"].items())]
    lines += ["", "## How", "", NOTES, ""]
    lines += [
        f"{found['events']:,} events of {found['customers']:,} customers, {found['runs']} runs, {found['date']}.",
        "",
    ]
    lines += ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in found["machine"].items()), ""]
    return "\n".join(lines)


def _table(part: Mapping[str, Any]) -> list[str]:
    rows = ["| engine | events | events/s | events/CPU s | rows scored/s | MiB | ours is | by CPU |"]
    rows.append("| --- |" + " ---: |" * 7)
    for engine, row in part["engines"].items():
        ratio = part["ratios"].get(engine)
        times = ["", ""] if ratio is None else [f"{spread_text(ratio[name], '.1f')} x" for name in ("wall", "cpu")]
        cells = [
            TITLES[engine], f"{row['events']:,}", spread_text(row["events_per_s"], ",.0f"),
            spread_text(row["events_per_cpu_s"], ",.0f"), f"{row['rows_scored_per_s']['median']:,.0f}",
            f"{row['rss_mb']['median']:.0f}", *times,
        ]  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def told(part: Mapping[str, Any]) -> list[str]:
    """Whether the outputs agree, engine by engine."""
    return [
        f"{TITLES[engine]}: outputs {'agree' if checked['is_full'] else 'DIFFER'} ({'; '.join(checked['lines'])})"
        for engine, checked in part["agreements"].items()
    ]


def print_part(keys: str, part: Mapping[str, Any]) -> None:
    """Print one key distribution."""
    print(f"\n{keys} keys")
    print(f"  {'':<36}{'events/s':>28}{'events/CPU s':>28}{'MiB':>7}   ours is")
    for engine, row in part["engines"].items():
        ratio = part["ratios"].get(engine)
        times = (
            "" if ratio is None else " x, by CPU ".join(spread_text(ratio[n], ".1f") for n in ("wall", "cpu")) + " x"
        )
        wall, cpu = (spread_text(row[name], ",.0f") for name in ("events_per_s", "events_per_cpu_s"))
        print(f"  {TITLES[engine]:<36}{wall:>28}{cpu:>28}{row['rss_mb']['median']:>7.0f}   {times}")
    for line in told(part):
        print(f"  {line}")


def spread_text(values: Mapping[str, float], form: str) -> str:
    """Median (smallest-largest)."""
    median, low, high = (format(values[name], form) for name in ("median", "min", "max"))
    return f"{median} ({low}-{high})"
