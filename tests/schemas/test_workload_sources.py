"""Where a source's rows are and how dirty cells are read: what may be declared, and what is refused at its line."""

from __future__ import annotations

import pytest

from schemas.errors import WorkloadError
from schemas.source import Cleaning, Database, factors_of
from schemas.workload_parse import parse_workload

HEAD = """
[workload]
name = "shop"
[topics.orders]
kinds = { bought = "bought" }
[topics.orders.fields]
amount = { type = "number", scale = 100 }
pieces = { type = "integer" }
plan = { type = "category", categories = ["basic"] }
[label]
type = "inactivity"
of = ["bought"]
horizon = "30d"
[[feature]]
name = "recency"
type = "recency"
of = ["bought"]
"""
SOURCE = """
[[source]]
name = "log"
customer_id = "who"
event_time = "at"
"""
EVENT = """
[[source.event]]
kind = "bought"
values = { amount = "eur * unit", pieces = "n", plan = "plan" }
"""
FILE = 'path = "log.csv"\n'


def source_of(text: str) -> object:
    return parse_workload(HEAD + SOURCE + text + EVENT).sources[0]


RULES = """
path = "s3://bucket/2024/*.csv.gz"
decimal = ","
thousands = "."
missing = ["-"]
time_format = ["%d.%m.%Y", "%d/%m/%Y"]
timezone_column = "zone"
normalise = { who = "upper" }
replace = { plan = { Basic = "basic", "?" = "" } }
units = { unit = { kg = 1, g = 0.001 } }
on_negative = "refuse"
on_duplicate = "last"
until = 2020-09-08
"""


def test_every_rule_is_kept_and_none_changes_the_workload() -> None:
    workload = parse_workload(HEAD + SOURCE + RULES + EVENT)
    (source,) = workload.sources

    assert (source.format, source.time_formats, source.timezone_column) == ("csv", ("%d.%m.%Y", "%d/%m/%Y"), "zone")
    assert source.until_ms == 1_599_523_200_000
    assert source.cleaning == Cleaning(
        decimal=",",
        thousands=".",
        missing=("-",),
        normalise=(("who", "upper"),),
        replace=(("plan", (("Basic", "basic"), ("?", ""))),),
        units=(("unit", (("kg", 1.0), ("g", 0.001))),),
        on_negative=(("amount", "refuse"), ("pieces", "refuse")),
        on_duplicate="last",
    )
    assert workload.hash == parse_workload(HEAD).hash == parse_workload(HEAD + SOURCE + FILE + EVENT).hash


def test_id_columns_say_which_rows_are_the_same() -> None:
    assert parse_workload(HEAD + SOURCE + FILE + EVENT).sources[0].cleaning.on_duplicate == "keep"
    with_id = parse_workload(HEAD + SOURCE + FILE + 'event_id = ["no"]\n' + EVENT)
    assert with_id.sources[0].cleaning.on_duplicate == "first"


def test_a_database_is_a_source() -> None:
    place = 'url_env = "SHOP_DB"\nquery = """\nselect *\nfrom orders"""\n'
    (source,) = parse_workload(HEAD + SOURCE + place + EVENT).sources
    assert (source.path, source.format) == ("", "database")
    assert source.database == Database(None, "SHOP_DB", None, "select *\nfrom orders")


def test_factors_are_columns_or_numbers() -> None:
    assert factors_of("a * 0.01 * b c") == ("a", 0.01, "b c")
    assert factors_of("2") == ("2",)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('decimal = ";"', "= ';' is not allowed"),
        ('thousands = ","\ndecimal = ","', "must be one character other than the decimal"),
        ('missing = "NA"', "must be a list of text"),
        ('time_format = ["%d", "epoch_s"]', "epoch_s and epoch_ms stand alone"),
        ('normalise = { who = "title" }', "allowed are lower, upper"),
        ('normalise = { whom = "lower" }', "names column 'whom', which this source does not use; did you mean who"),
        ("replace = { plan = { a = 1 } }", "must be text"),
        ("units = { unit = {} }", "name each unit and its factor"),
        ('units = { unit = { kg = "1" } }', "must be a number"),
        ('on_negative = "drop"', "allowed are refuse, absolute, missing, keep"),
        ('on_negative = { plan = "refuse" }', "is no number or integer field of this source's events"),
        ('on_duplicate = "none"', "allowed are keep, first, last"),
        ('until = "soon"', "is not a day; write one like"),
        ('timezone_column = ""', "is empty"),
    ],
)
def test_a_wrong_rule_is_refused_at_its_line(lines: str, says: str) -> None:
    text = HEAD + SOURCE + FILE + lines + "\n" + EVENT
    with pytest.raises(WorkloadError, match=says) as caught:
        parse_workload(text, "shop.toml")
    assert str(caught.value).startswith(f"shop.toml:{text[: text.index(lines)].count(chr(10)) + 1}: ")


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("", "needs path"),
        ('url = "sqlite:///a.db"\n', "needs table"),
        ('table = "a"\n', "needs url, or url_env"),
        ('url = "sqlite:///a.db"\nurl_env = "A"\ntable = "a"\n', "one of the two"),
        ('url = "sqlite:///a.db"\ntable = "a"\nquery = "b"\n', "one of the two"),
        ('url = "sqlite:///a.db"\ntable = "a"\npath = "a.csv"\n', "belongs to files"),
        ('url = "sqlite:///a.db"\ntable = "a"\nseparator = ";"\n', "belongs to csv; the format is database"),
        ('url = "a.db"\ntable = "a"\n', "is no database URL"),
        ('url_env = "my db"\ntable = "a"\n', "is no name of an environment variable"),
        ('url = "sqlite:///a.db"\nquery = " "\n', "must be SQL text"),
        ('url = "postgresql://me:hunter2@host/db"\ntable = "a"\n', "holds a password; put the URL into an environment"),
        ('url = "postgresql://host/db?sslpassword=hunter2"\ntable = "a"\n', "holds a password"),
        ('path = "https://me:hunter2@host/log.csv"\n', "path holds a password; leave it out"),
    ],
)
def test_a_wrong_place_is_refused_and_no_secret_repeated(place: str, says: str) -> None:
    with pytest.raises(WorkloadError, match=says) as caught:
        parse_workload(HEAD + SOURCE + place + EVENT, "shop.toml")
    assert caught.value.line is not None
    assert "hunter2" not in str(caught.value)
