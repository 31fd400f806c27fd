"""Dirty rows: every rule of a source does what it says, every row is accounted for, as a slow oracle counts them."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from producers import quarantine as quarantining
from producers.errors import QuarantineError, SourceError
from producers.quarantine import Quarantine
from producers.recording import Recording
from producers.sources import read_batches, read_events
from schemas.workload import Workload
from schemas.workload_parse import parse_workload

HEAD = """
[workload]
name = "shop"
customer_id_max_bytes = 8
[topics.orders]
kinds = { bought = "bought", returned = "gave back" }
[topics.orders.fields]
amount = { type = "number", scale = 100 }
pieces = { type = "integer" }
plan = { type = "category", categories = ["basic", "plus"] }
[topics.visits]
kinds = { visit = "came by" }
[label]
type = "inactivity"
of = ["bought"]
horizon = "30d"
[[feature]]
name = "recency"
type = "recency"
of = ["bought"]
[[source]]
name = "log"
path = "log.csv"
customer_id = "who"
event_time = "at"
"""


def shop(rules: str, *events: str) -> Workload:
    return parse_workload(HEAD + rules + "".join(f"[[source.event]]\n{event}\n" for event in events), "shop.toml")


def records(recording: Recording, workload: Workload) -> list[dict[str, Any]]:
    batches = [batch for day in recording for batch in day.batches]
    return [record for batch in batches for record in batch.to_records(workload.topic(batch.topic))]


def amounts(rules: str, cells: list[str], tmp_path: Path, value: str = "eur") -> tuple[list[Any], dict[str, int]]:
    """Amounts in the order of the rows, and what was refused."""
    lines = [f"c{i},2024-01-{i + 1:02},{json.dumps(cell, ensure_ascii=False)},7,kg" for i, cell in enumerate(cells)]
    (tmp_path / "log.csv").write_text("\n".join(["who,at,eur,n,unit", *lines]))
    workload = shop(rules, f'kind = "bought"\nvalues = {{ amount = "{value}" }}')
    recording = read_events(workload, tmp_path)
    return [record["amount"] for record in records(recording, workload)], recording.sources[0].refusals.counts


@pytest.mark.parametrize(
    ("rules", "cells", "expected", "refused"),
    [
        ("", ["1.5", "1,5", "1,234.5"], [1.5], 2),
        ('decimal = ","\n', ["1,5", "1.5", "-,5"], [1.5, -0.5], 1),
        ('thousands = ","\n', ["1,234.5", "12,34", "1234567", "1,234,567"], [1234.5, 1234567.0, 1234567.0], 1),
        ('decimal = ","\nthousands = "."\n', ["1.234,5", "1.5", "1.50", "12.345"], [1234.5, 12345.0], 2),
        ('thousands = " "\n', ["1 234", "1\u00a0234", "1\u202f234", "12 34"], [1234.0, 1234.0, 1234.0], 1),
        ('thousands = "\'"\n', ["1'234.5", "+1'234"], [1234.5, 1234.0], 0),
        ('missing = ["NA", "-"]\n', ["NA", "-", "", "None"], [None, None, None], 1),
        ("", ["NULL", "nan", "NA"], [None, None], 1),
        ('on_negative = "refuse"\n', ["-1", "1", "-0"], [1.0, 0.0], 1),
        ('on_negative = "absolute"\n', ["-1", "1"], [1.0, 1.0], 0),
        ('on_negative = { amount = "missing" }\n', ["-1", "1"], [None, 1.0], 0),
        ('on_negative = { amount = "keep" }\n', ["-1"], [-1.0], 0),
    ],
)
def test_numbers_in_text(rules: str, cells: list[str], expected: list[Any], refused: int, tmp_path: Path) -> None:
    found, counts = amounts(rules, cells, tmp_path)
    assert (found, sum(counts.values())) == (expected, refused)


def test_a_product_takes_numbers_and_units(tmp_path: Path) -> None:
    assert amounts("", ["250", ""], tmp_path, "eur * 0.01") == ([2.5, None], {})
    units = "units = { unit = { kg = 1, g = 0.001 } }\n"
    assert amounts(units, ["2", "3"], tmp_path, "eur * unit * n") == ([14.0, 21.0], {})
    only_g = "units = { unit = { g = 0.001 } }\n"
    with pytest.raises(SourceError, match="2 bad amount"):
        amounts(only_g, ["2", "3"], tmp_path, "eur * unit")


def test_case_and_other_names_of_the_same_thing(tmp_path: Path) -> None:
    rows = ["AB1,2024-01-01,Buy, Plus ", "ab1,2024-01-02,BUY,premium", "Ab1,2024-01-03,buy,n/a", "ab2,2024-01-04,Hm,x"]
    (tmp_path / "log.csv").write_text("\n".join(["who,at,what,plan", *rows]))
    rules = 'normalise = { who = "upper", what = "lower", plan = "lower" }\n'
    rules += 'replace = { plan = { premium = "plus", "n/a" = "" } }\n'
    event = 'kind_column = "what"\nkinds = { buy = "bought" }\nother = "refuse"\nvalues = { plan = "plan" }'
    workload = shop(rules, event)

    recording = read_events(workload, tmp_path)

    found = [(record["customer_id"], record["plan"]) for record in records(recording, workload)]
    assert found == [("AB1", "plus"), ("AB1", "plus"), ("AB1", None)]
    assert recording.sources[0].refusals.counts == {"unknown kind": 1}
    assert recording.sources[0].refusals.examples == {"unknown kind": "'Hm' in log.csv, row 4"}


def test_every_row_may_have_its_own_time_zone(tmp_path: Path) -> None:
    zones = ["Europe/Berlin", "Asia/Tokyo", "", "+02:00", "Nowhere/Land"]
    rows = [f"c{i},2024-07-01 12:00,{zone}" for i, zone in enumerate(zones)]
    (tmp_path / "log.csv").write_text("\n".join(["who,at,zone", *rows]))
    workload = shop('timezone = "America/New_York"\ntimezone_column = "zone"\n', 'kind = "visit"')

    recording = read_events(workload, tmp_path)

    hours = {r["customer_id"]: r["event_time_ms"] // 3_600_000 % 24 for r in records(recording, workload)}
    assert hours == {"c0": 10, "c1": 3, "c2": 16, "c3": 10}
    assert recording.sources[0].refusals.counts == {"bad time zone": 1}


def test_formats_of_time_are_tried_in_turn(tmp_path: Path) -> None:
    times = ["03.04.2024 05:06", "03/04/2024", "2024-04-03", "04/13/2024"]
    (tmp_path / "log.csv").write_text("\n".join(["who,at", *(f"c{i},{time}" for i, time in enumerate(times))]))
    workload = shop('time_format = ["%d.%m.%Y %H:%M", "%d/%m/%Y"]\n', 'kind = "visit"')

    recording = read_events(workload, tmp_path)

    third = int(datetime(2024, 4, 3, tzinfo=UTC).timestamp() * 1000)
    found = {record["customer_id"]: record["event_time_ms"] - third for record in records(recording, workload)}
    assert found == {"c0": (5 * 60 + 6) * 60_000, "c1": 0}
    assert recording.sources[0].refusals.counts == {"bad time": 2}


def test_times_that_no_calendar_has_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,at\na,0\nb,253402300800000\nc,-99999999999999\nd,1e300\n")
    recording = read_events(shop('time_format = "epoch_ms"\n', 'kind = "visit"'), tmp_path)
    assert (recording.n_events, recording.sources[0].refusals.counts) == (1, {"bad time": 3})


def test_the_log_may_end_before_its_last_row(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,at,end\na,2024-01-01,2024-01-05\nb,2024-01-03,2024-01-09\n")
    workload = shop('until = "2024-01-06"\n', 'kind = "bought"', 'kind = "returned"\ntime = "end"')

    recording = read_events(workload, tmp_path)

    found = [(record["kind"], record["customer_id"]) for record in records(recording, workload)]
    assert found == [("bought", "a"), ("bought", "b"), ("returned", "a")]
    assert (recording.sources[0].n_none, recording.sources[0].imbalance) == (1, 0)


@pytest.mark.parametrize(
    ("rule", "kept"), [("", ["1", "3"]), ('on_duplicate = "last"\n', ["2", "3"]), ('on_duplicate = "keep"\n', None)]
)
def test_of_rows_with_one_id_the_first_or_last_stays(rule: str, kept: list[str] | None, tmp_path: Path) -> None:
    rows = ["a,2024-01-02,7,2", "a,2024-01-01,7,1", "b,2024-01-03,8,3", "b,2024-01-03,8,3"]
    for order in (rows, rows[::-1]):
        (tmp_path / "log.csv").write_text("\n".join(["who,at,no,eur", *order]))
        workload = shop('event_id = ["no"]\n' + rule, 'kind = "bought"\nvalues = { amount = "eur" }')
        recording = read_events(workload, tmp_path)
        found = [f"{record['amount']:g}" for record in records(recording, workload)]
        assert found == (kept or ["1", "2", "3", "3"])
        assert recording.sources[0].n_duplicates == 4 - len(found)


def test_rows_without_an_id_are_told_apart_or_are_one(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("who,at\na,2024-01-01\na,2024-01-01\nb,2024-01-01\n")
    assert read_events(shop("", 'kind = "visit"'), tmp_path).n_events == 3
    once = read_events(shop('on_duplicate = "first"\n', 'kind = "visit"'), tmp_path)
    assert (once.n_events, once.sources[0].n_duplicates) == (2, 1)


# ---- the quarantine file --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_refused_rows_lie_in_quarantine_with_their_reasons_and_cells(suffix: str, tmp_path: Path) -> None:
    rows = ["a,2024-01-01,1", "only one", "a,soon,2", "a,2024-01-02,much"]
    (tmp_path / "log.csv").write_text("\n".join(["who,at,eur", *rows]))
    workload = shop("", 'kind = "bought"\nvalues = { amount = "eur" }')
    quarantine = Quarantine(tmp_path / f"bad{suffix}")

    read_batches(workload, tmp_path, quarantine=quarantine)
    quarantine.save()

    if suffix == ".jsonl":
        found = [json.loads(line) for line in quarantine.path.read_text().splitlines()]
    else:
        found = pq.read_table(quarantine.path).to_pylist()
        found = [row | {"cells": json.loads(row["cells"])} for row in found]
    assert [(row["source"], row["file"], row["row"], row["reason"], row["column"]) for row in found] == [
        ("log", "log.csv", 2, "wrong number of cells", None),
        ("log", "log.csv", 3, "bad time", "at"),
        ("log", "log.csv", 4, "bad amount", "eur"),
    ]
    assert [row["cells"] for row in found] == [
        {"line": "only one"},
        {"who": "a", "at": "soon", "eur": "2"},
        {"who": "a", "at": "2024-01-02", "eur": "much"},
    ]


def test_of_one_reason_a_quarantine_keeps_the_first_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantining, "MAX_ROWS_EACH", 2)
    rows = ["a,2024-01-01", "a,soon", "a,later", "a,never", "x", "y", "z", ",2024-01-01"]
    (tmp_path / "log.csv").write_text("\n".join(["who,at", *rows]))
    quarantine = Quarantine(tmp_path / "bad.jsonl")
    found = read_batches(shop("", 'kind = "visit"'), tmp_path, quarantine=quarantine)
    quarantine.save()
    kept = [(row["row"], row["reason"]) for row in map(json.loads, quarantine.path.read_text().splitlines())]
    assert sorted(kept) == [
        (2, "bad time"),
        (3, "bad time"),
        (5, "wrong number of cells"),
        (6, "wrong number of cells"),
        (8, "no customer"),
    ]
    assert found.sources[0].refusals.n == 7


def test_without_refusals_a_quarantine_file_of_before_goes_away(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("old")
    Quarantine(tmp_path / "bad.jsonl").save()
    assert not (tmp_path / "bad.jsonl").exists()
    with pytest.raises(QuarantineError, match=r"bad\.csv: must end in \.jsonl or \.parquet"):
        Quarantine(tmp_path / "bad.csv")


# ---- the law of accounting ------------------------------------------------------------------------------

FORMATS = ("%d.%m.%Y %H:%M", "%d/%m/%Y")
RULES = """
decimal = ","
thousands = "."
missing = ["NA", "-"]
timezone = "Europe/Berlin"
timezone_column = "zone"
time_format = ["%d.%m.%Y %H:%M", "%d/%m/%Y"]
normalise = { plan = "lower" }
replace = { plan = { premium = "plus", "?" = "" } }
on_negative = { amount = "refuse", pieces = "absolute" }
where = { column = "test", not_prefix = "y" }
until = "2024-08-01"
"""
EVENTS = (
    """kind_column = "what"
kinds = { buy = "bought", back = "returned", look = "visit" }
other = "refuse"
values = { amount = "eur", pieces = "n", plan = "plan" }""",
    'kind = "visit"\ntime = "seen"\nwhere = { column = "what", in = ["buy", "look"] }',
)
COLUMNS = ("who", "at", "zone", "what", "eur", "n", "plan", "test", "seen", "no")


def dirty_rows(rng: np.random.Generator, n: int) -> list[dict[str, str]]:
    cells: dict[str, list[str]] = {
        "who": ["c1", "c2", " c3 ", "c4", "", "NA", "name-too-long"],
        "at": ["31.01.2024 10:00", "01/07/2024", "15.07.2024 23:30", "05/02/2024", "2024-01-05", "", "-", "31.02.2024"],
        "zone": ["", "Asia/Tokyo", "America/New_York", "UTC", "-", "Mars"],
        "what": ["buy", "back", "look", "look", "buy", "jump", ""],
        "eur": ["1,5", "1.234,50", "-3", "NA", "", "7", "1.5", "many"],
        "n": ["1", "-2", "3,0", "1.000", "2,5", "", "x"],
        "plan": ["Basic", "PLUS", "premium", "?", "", "gold"],
        "test": ["", "no", "yes", "n"],
        "seen": ["", "", "10/07/2024", "31.07.2024 23:59", "09/09/2024", "never"],
        "no": ["1", "2", "3", "4", "5", "6", "", "NA"] + [str(i) for i in range(7, 60)],
    }
    return [{name: str(rng.choice(cells[name])) for name in COLUMNS} for _ in range(n)]


def text(cell: str) -> str | None:
    cell = cell.strip()
    return None if cell in ("", "NA", "-") else cell


def number(cell: str) -> float | str | None:
    plain = text(cell)
    if plain is None:
        return None
    if not re.fullmatch(r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?", plain):
        return "wrong"
    return float(plain.replace(".", "").replace(",", "."))


def moment(cell: str, zone: str) -> int | str | None:
    plain = text(cell)
    if plain is None:
        return None
    for form in FORMATS:
        try:
            local = datetime.strptime(plain, form).replace(tzinfo=ZoneInfo(zone))
        except ValueError:
            continue
        return int(local.timestamp() * 1000)
    return "wrong"


UNTIL = int(datetime(2024, 8, 1, tzinfo=UTC).timestamp() * 1000)


def zone_of(row: dict[str, str]) -> str:
    return text(row["zone"]) or "Europe/Berlin"


def bad_row(row: dict[str, str], *, has_id: bool) -> str | None:
    who, zone = text(row["who"]), zone_of(row)
    if who is None:
        return "no customer"
    if len(who.encode()) > 8:
        return "customer id too long"
    if zone == "Mars":
        return "bad time zone"
    at = moment(row["at"], zone)
    if not isinstance(at, int):
        return "no time" if at is None else "bad time"
    return "no event id" if has_id and text(row["no"]) is None else None


def mapped_event(row: dict[str, str]) -> tuple[Any, ...] | str:
    """The event of the row's own kind, or why there is none."""
    kind = {"buy": "bought", "back": "returned", "look": "visit"}.get(text(row["what"]) or "")
    at, amount, pieces = moment(row["at"], zone_of(row)), number(row["eur"]), number(row["n"])
    if kind is None:
        return "unknown kind"
    if int(at or 0) >= UNTIL:
        return "none"
    if kind == "visit":
        return ("visit", text(row["who"]), at, None, None, None, text(row["no"]))
    if amount == "wrong":
        return "bad amount"
    if isinstance(amount, float) and amount < 0:
        return "negative amount"
    if pieces == "wrong" or (isinstance(pieces, float) and pieces != int(pieces)):
        return "bad pieces"
    plan = (text(row["plan"]) or "").lower()
    plan_or_none = {"premium": "plus", "?": None, "": None}.get(plan, plan)
    whole = abs(pieces) if isinstance(pieces, float) else None
    return (kind, text(row["who"]), at, amount, whole, plan_or_none, text(row["no"]))


def seen_event(row: dict[str, str]) -> tuple[Any, ...] | str:
    """The visit at the row's second time, or why there is none."""
    seen = moment(row["seen"], zone_of(row))
    if text(row["what"]) not in ("buy", "look") or seen is None:
        return "none"
    if not isinstance(seen, int):
        return "bad time in seen"
    return "none" if seen >= UNTIL else ("visit", text(row["who"]), seen, None, None, None, text(row["no"]))


def oracle(rows: list[dict[str, str]], *, has_id: bool, keep: str) -> tuple[list[tuple[Any, ...]], Counter[str]]:
    """Events, one tuple each, and the counts, row by row in plain Python."""
    events, counts = list[tuple[Any, ...]](), Counter({"rows": len(rows)})
    for row in rows:
        is_out = (text(row["test"]) or "").startswith("y")
        reason = "filtered" if is_out else bad_row(row, has_id=has_id)
        for found in (reason,) if reason else (mapped_event(row), seen_event(row)):
            if isinstance(found, str):
                counts[found] += 1
            else:
                events.append(found)
    return without_duplicates(events, counts, has_id=has_id, keep=keep), counts


def without_duplicates(
    events: list[tuple[Any, ...]], counts: Counter[str], *, has_id: bool, keep: str
) -> list[tuple[Any, ...]]:
    """Events without their ids; of a topic, kind and id (or of all that is equal) one stays."""
    if keep == "keep":
        return [event[:-1] for event in events]
    groups = defaultdict(list)
    for event in events:
        groups[(event[0], event[-1]) if has_id else event[:-1]].append(event[:-1])
    counts["duplicates"] = len(events) - len(groups)
    return [sorted(group, key=place)[0 if keep == "first" else -1] for group in groups.values()]


def place(event: tuple[Any, ...]) -> tuple[Any, ...]:
    """Where an event stands among those with its id: by time, then kind, customer and values as they are written."""
    kind, who, at, amount, pieces, plan = event
    numbers = [repr(np.float64("nan" if number is None else number)) for number in (amount, pieces)]
    return (at, ["bought", "returned", "visit"].index(kind), who, *numbers, repr(plan))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep", ["keep", "first", "last"])
@pytest.mark.parametrize("has_id", [True, False])
def test_rows_read_are_events_none_refused_or_duplicates(has_id: bool, keep: str, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    rows = dirty_rows(rng, 400)
    broken = int(rng.integers(0, 4))
    with (tmp_path / "log.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows([row[name] for name in COLUMNS] for row in rows)
        writer.writerows([["half a row"]] * broken)
    rules = RULES + f'on_duplicate = "{keep}"\n' + ('event_id = ["no"]\n' if has_id else "")
    workload = shop(rules, *EVENTS)

    recording = read_events(workload, tmp_path)
    (count,) = recording.sources

    expected, counts = oracle(rows, has_id=has_id, keep=keep)
    names = ("kind", "customer_id", "event_time_ms", "amount", "pieces", "plan")
    found = [tuple(record.get(name) for name in names) for record in records(recording, workload)]
    assert Counter(found) == Counter(expected)
    about_rows = ("no customer", "customer id too long", "bad time zone", "no time", "bad time", "no event id")
    about_events = ("unknown kind", "bad amount", "negative amount", "bad pieces", "bad time in seen")
    wanted = {name: counts[name] for name in (*about_rows, *about_events) if counts[name]}
    wanted |= {"wrong number of cells": broken} if broken else {}
    assert count.refusals.counts == wanted
    assert count.refusals.n_rows == sum(counts[name] for name in about_rows) + broken
    assert (count.n_rows, count.n_filtered) == (counts["rows"] + broken, counts["filtered"])
    assert (count.n_events, count.n_none, count.n_duplicates) == (len(expected), counts["none"], counts["duplicates"])
    assert count.imbalance == 0
