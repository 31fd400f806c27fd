"""Workloads that differ from the default in every way that the engine knows of."""

from __future__ import annotations

import numpy as np

from schemas.workload import WINDOWS_D, Workload, load_workload
from schemas.workload_parse import parse_workload

LAPSE = """
[workload]
name = "lapse"
timezone = "Europe/Berlin"
score_every = "6h"
lateness = "5d"
forget_after = "50d"
customer_id_max_bytes = 16

[topics.paid]
kinds = { period_paid = "", refunded = "" }
urgent = ["refunded"]
[topics.paid.fields]
price = { type = "number", scale = 100 }
paid_until = { type = "time", unit = "ms" }
months = { type = "integer" }

[topics.seen]
kinds = { visit = "", purchase = "", complaint = "" }
deduplicate = false
[topics.seen.fields]
pages = { type = "integer" }
price = { type = "number", scale = 100 }
place = { type = "category", categories = ["shop", "web", "Zürich"] }

[live]
start = ["period_paid"]

[eligible]
min_tenure = "3d"

[label]
type = "lapse"
of = ["period_paid", "refunded"]
field = "paid_until"
grace = "36h"
horizon = "20d"

[[feature]]
name = "renewal"
type = "until"
of = ["period_paid", "refunded"]
field = "paid_until"
[[feature]]
name = "visits"
type = "count"
of = ["visit", "purchase"]
windows = ["1d", "7d", "14d", "30d", "60d", "90d"]
[[feature]]
name = "visit_days"
type = "distinct_days"
of = ["visit", "complaint"]
windows = ["1d", "30d", "90d"]
[[feature]]
name = "spent"
type = "sum"
of = ["purchase", "period_paid"]
field = "price"
windows = ["7d", "60d"]
[[feature]]
name = "spent_mean"
type = "mean"
of = ["purchase", "period_paid"]
field = "price"
windows = ["7d", "90d"]
[[feature]]
name = "pages"
type = "max"
of = ["visit"]
field = "pages"
windows = ["1d", "14d", "60d"]
[[feature]]
name = "pages_ratio"
type = "ratio"
of = ["visit", "purchase"]
field = "pages"
windows = ["7d", "60d"]
[[feature]]
name = "visits_trend"
type = "trend"
of = ["visit"]
windows = ["1d", "14d"]
[[feature]]
name = "since"
type = "recency"
of = ["visit", "purchase", "complaint"]
[[feature]]
name = "age"
type = "tenure"
[[feature]]
name = "place"
type = "last"
of = ["visit", "purchase"]
field = "place"
[[feature]]
name = "price"
type = "last"
of = ["period_paid", "purchase"]
field = "price"
[[feature]]
name = "to_purchase"
type = "delay"
from = ["visit"]
to = ["purchase"]
[[feature]]
name = "complaints"
type = "open"
of = ["complaint"]
closed_by = ["refunded"]
[[feature]]
name = "weekday"
type = "calendar"
part = "weekday"
[[feature]]
name = "day"
type = "calendar"
part = "day_of_month"
[[feature]]
name = "month"
type = "calendar"
part = "month"

[[alert]]
name = "lapse_risk"
open_above = 0.3
close_below = 0.5
cool_down = "2d"
[[alert]]
name = "certain"
open_above = 0.9
close_below = 0.9
cool_down = "0s"

[watch]
step = "15m"
"""

SILENCE = """
[workload]
name = "silence"
timezone = "Australia/Lord_Howe"    # half an hour of daylight saving
score_every = "1d"
lateness = "12h"
forget_after = "30d"

[topics.orders]
kinds = { order = "", order_line = "", returned = "" }
[topics.orders.fields]
amount = { type = "number", scale = 1000 }
pieces = { type = "integer" }

[live]
end = ["returned"]
idle_after = "10d"

[label]
type = "inactivity"
of = ["order"]
horizon = "10d"

[[feature]]
name = "since"
type = "recency"
of = ["order"]
[[feature]]
name = "orders"
type = "count"
of = ["order"]
windows = ["7d", "90d"]
[[feature]]
name = "money"
type = "sum"
of = ["order", "order_line", "returned"]
field = "amount"
windows = ["1d", "7d", "14d", "30d", "60d", "90d"]
[[feature]]
name = "largest"
type = "max"
of = ["order_line"]
field = "amount"
windows = ["30d"]
[[feature]]
name = "ratio"
type = "ratio"
of = ["order_line"]
windows = ["14d", "30d"]
[[feature]]
name = "trend"
type = "trend"
of = ["order", "returned"]
field = "amount"
windows = ["30d", "90d"]
[[feature]]
name = "pieces"
type = "last"
of = ["order_line"]
field = "pieces"
[[feature]]
name = "tenure"
type = "tenure"
[[feature]]
name = "weekday"
type = "calendar"
part = "weekday"
[[feature]]
name = "day"
type = "calendar"
part = "day_of_month"

[[alert]]
name = "gone"
open_above = "threshold"
close_below = 0.8
cool_down = "3d"
"""


def named_workload(name: str) -> Workload:
    """``lapse``, ``silence``, ``random-<seed>``, or a built-in one."""
    if name in ("lapse", "silence"):
        return parse_workload({"lapse": LAPSE, "silence": SILENCE}[name], f"{name}.toml")
    if name.startswith("random-"):
        return random_workload(int(name.removeprefix("random-")))
    return load_workload(name)


def random_workload(seed: int) -> Workload:
    """Random topics, kinds, fields and features: a workload that nobody has seen."""
    draw = np.random.default_rng(seed)
    topics = {f"topic_{t}": [f"kind_{t}_{k}" for k in range(draw.integers(1, 5))] for t in range(draw.integers(1, 5))}
    lines = [
        "[workload]",
        f'name = "random_{seed}"',
        f'timezone = "{draw.choice(["UTC", "Asia/Kathmandu", "America/St_Johns"])}"',
        f'score_every = "{draw.choice(["1m", "1h", "1d"])}"',
        f"customer_id_max_bytes = {draw.integers(6, 60)}",
    ]
    for topic, kinds in topics.items():
        lines += [f"[topics.{topic}]", "kinds = { " + ", ".join(f'{kind} = ""' for kind in kinds) + " }"]
        lines += [f'urgent = ["{kinds[0]}"]'] if draw.random() < 0.5 else []
        lines += [
            f"[topics.{topic}.fields]",
            f'amount = {{ type = "number", scale = {10 ** (seed % 4)} }}',
            'whole = { type = "integer" }',
            'group = { type = "category", categories = ["a", "b", "c"] }',
        ]
    kinds = [kind for names in topics.values() for kind in names]
    lines += ["[label]", 'type = "inactivity"', f'of = ["{kinds[0]}"]', 'horizon = "12d"']
    lines += [line for n in range(draw.integers(3, 25)) for line in _random_feature(draw, n, kinds)]
    return parse_workload("\n".join(lines), f"random-{seed}.toml")


def _random_feature(draw: np.random.Generator, n: int, kinds: list[str]) -> list[str]:
    windowed = ["count", "sum", "mean", "max", "distinct_days"]
    kind = str(draw.choice([*windowed, "ratio", "trend", "recency", "last", "tenure"]))
    of = sorted(draw.choice(kinds, draw.integers(1, min(4, len(kinds)) + 1), replace=False).tolist())
    lines = ["[[feature]]", f'name = "f{n}"', f'type = "{kind}"']
    if kind != "tenure":
        lines.append(f"of = {of}")
    if kind in ("sum", "mean", "max", "last") or (kind in ("ratio", "trend") and draw.random() < 0.5):
        lines.append(f'field = "{draw.choice(["amount", "whole"])}"')
    if kind in windowed or kind in ("ratio", "trend"):
        size = 2 if kind in ("ratio", "trend") else draw.integers(1, 5)
        lines.append(
            f"windows = {[f'{days}d' for days in sorted(draw.choice(WINDOWS_D, size, replace=False).tolist())]}"
        )
    return lines
