"""What the demo shows while it runs: a live table on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from offline.cutoffs import date_text

if TYPE_CHECKING:
    from driftline.demo import Loop

LINE_EVERY_S = 5.0
WORST_FEATURES = 6


class Screen:
    """Shows stages and the newest numbers."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self._live = (
            Live(console=self.console, refresh_per_second=4, transient=True) if self.console.is_terminal else None
        )
        self._stage, self._line_at, self._began = "", 0.0, time.monotonic()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def stage(self, text: str) -> None:
        """A new stage begins."""
        if text != self._stage:
            self._stage = text
            self.console.print(f"[{time.monotonic() - self._began:6.1f} s] {text}", highlight=False)

    def show(self, loop: Loop) -> None:
        """The newest numbers."""
        if self._live is not None:
            self._live.update(Group(Text(self._stage, style="bold"), _numbers(loop), _drift(loop), _signals(loop)))
        elif time.monotonic() - self._line_at >= LINE_EVERY_S:
            self._line_at = time.monotonic()
            self.console.print("          " + _line(loop), highlight=False, soft_wrap=True)

    def summary(self, content: dict[str, Any]) -> None:
        """The last word."""
        table = Table(title="What happened", show_header=False, title_justify="left")
        table.add_column()
        table.add_column(overflow="fold")
        for name, value in _summary_rows(content):
            table.add_row(name, value)
        self.console.print(table)


def _line(loop: Loop) -> str:
    s = loop.status
    if s.get("clock_day", -1) < 0:
        return "the worker starts: imports, kernels, group"
    drifted = sum(1 for record in loop.drift.values() if record["verdict"] == "drifted")
    signal = loop.signal
    return (
        f"{date_text(max(0, s['clock_day']))}  {s['events_per_s']:>7,} events/s  {s['customers']:,} customers  "
        f"{s['scores_published']:,} scores  {s['alerts_opened']:,} alerts  model {s['model_version']}  "
        f"{drifted} features drifted  signal {signal['status'] if signal else 'none'}"
    )


def _numbers(loop: Loop) -> Table:
    s = loop.status
    table = Table(expand=False)
    for name in ("day", "events/s", "events", "customers", "scores", "alerts open/closed", "model"):
        table.add_column(name, justify="right")
    if s:
        table.add_row(
            date_text(max(0, s["clock_day"])), f"{s['events_per_s']:,}", f"{s['applied']:,}", f"{s['customers']:,}",
            f"{s['scores_published']:,}", f"{s['alerts_opened']:,}/{s['alerts_closed']:,}", str(s["model_version"]),
        )  # fmt: skip
    return table


def _drift(loop: Loop) -> Table:
    table = Table(title="drift by feature (PSI, worst first)", title_justify="left")
    for name in ("feature", "distance", "threshold", "verdict"):
        table.add_column(name)
    worst = sorted(loop.drift.values(), key=lambda record: -record["distance"] / max(record["threshold"], 1e-9))
    for record in worst[:WORST_FEATURES]:
        style = "red" if record["verdict"] == "drifted" else ""
        numbers = (f"{record['distance']:.3f}", f"{record['threshold']:.3f}", str(record["verdict"]))
        table.add_row(str(record["name"]), *numbers, style=style)
    return table


def _signals(loop: Loop) -> Text:
    lines = [f"{date_text(s['as_of_ms'] // 86_400_000)} {s['status']}: {s['reason']}" for s in loop.signals]
    return Text("retrain signal: " + ("\n".join(lines[-4:]) if lines else "none"))


def _summary_rows(content: dict[str, Any]) -> list[tuple[str, str]]:
    events, drift = content["events"], content["drift"]
    rows = [
        (
            "events",
            f"{events['produced']:,} produced, {events['applied']:,} applied; accounting adds up: {events['adds_up']}",
        ),
        ("alerts", f"{content['alerts']['opened']:,} opened, {content['alerts']['closed']:,} closed"),
        ("planted drift", f"{drift['planted_day']}; signal on {drift['detected_day']}"),
        ("signal", " -> ".join(step["status"] for step in content["signal"]["life"]) or "none"),
    ]
    for name, part in content["models"].items():
        realised = ", ".join(
            f"{key} {value['model']:.3f} (oracle {value['oracle']:.3f})" for key, value in part["auc"].items()
        )
        rows.append((f"{name} model {part['version']}", f"AUC {realised}"))
    rows.append(
        ("swap", f"{content['swap']['s']} s from release to loaded; scores from {content['swap']['activate_day']}")
    )
    rows.append(("report", str(content["report"])))
    return rows
