"""A workload file is read whole, or refused with the line, the wrong value and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.durations import DAY_MS
from schemas.errors import WorkloadError
from schemas.workload import BUILTIN_DIR, Source, SourceEvent, Where, builtin_workloads, load_workload
from schemas.workload_parse import parse_workload

TEXT = (BUILTIN_DIR / "subscription_churn.toml").read_text()

SMALL = """
[workload]
name = "small"
[topics.web]
kinds = { view = "saw a page", buy = "bought" }
[topics.web.fields]
paid_until = { type = "time" }
amount = { type = "number", scale = 100 }
tier = { type = "category", categories = ["a", "b"] }
[label]
type = "lapse"
of = ["buy"]
field = "paid_until"
grace = "3d"
horizon = "30d"
[[feature]]
name = "left"
type = "until"
of = ["buy"]
field = "paid_until"
[[source]]
name = "shop"
path = "shop-*.csv.gz"
columns = ["who", "at", "what", "cash", "till"]
header = false
customer_id = "who"
event_time = "at"
where = { column = "what", not_prefix = "C" }
[[source.event]]
kind_column = "what"
kinds = { "Look" = "view", "Buy it" = "buy" }
other = "ignore"
values = { amount = "cash", paid_until = "till" }
[[source.event]]
kind = "buy"
time = "till"
known = "row"
where = [{ column = "cash", not_null = true }, { column = "what", in = ["x", 1] }]
values = { amount = 9.5 }
"""


def test_the_default_workload_is_what_its_file_says() -> None:
    w = load_workload("subscription_churn")
    assert [t.name for t in w.topics] == ["usage", "billing", "support", "survey", "profile"]
    assert (w.score_every_ms, w.lateness_ms, w.forget_after_ms) == (60_000, 2 * DAY_MS, 400 * DAY_MS)
    assert w.kind_index["login"] == 0
    assert w.kind_index["profile_changed"] == 13
    assert w.topic_of_kind["cancel"].name == "billing"
    assert [k.name for t in w.topics for k in t.kinds if k.urgent] == ["payment_failed", "plan_change", "ticket_opened"]
    assert not w.topic("usage").deduplicate
    assert w.alerts[0].open_above is None
    assert len(w.columns()) == 41
    assert len(set(w.columns())) == 41


def test_a_file_is_read_by_path_and_a_builtin_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert load_workload(path) == load_workload("subscription_churn")
    assert load_workload(str(path)).path == str(path)
    assert "subscription_churn" in builtin_workloads()


def test_sources_and_lapse_are_read() -> None:
    w = parse_workload(SMALL)
    assert (w.label.field, w.label.grace_ms) == ("paid_until", 3 * DAY_MS)
    assert w.sources == (
        Source(
            name="shop",
            path="shop-*.csv.gz",
            format="csv",
            customer_id="who",
            event_time="at",
            columns=("who", "at", "what", "cash", "till"),
            header=False,
            where=(Where("what", "not_prefix", ("C",)),),
            events=(
                SourceEvent(
                    kind=None,
                    kind_column="what",
                    kinds=(("Look", "view"), ("Buy it", "buy")),
                    other="ignore",
                    values=(("amount", "cash"), ("paid_until", "till")),
                ),
                SourceEvent(
                    kind="buy",
                    time="till",
                    known="row",
                    where=(Where("cash", "not_null"), Where("what", "in", ("x", 1))),
                    values=(("amount", 9.5),),
                ),
            ),
        ),
    )


def line_of(text: str, part: str) -> int:
    """The line on which `part` begins."""
    return text[: text.index(part)].count("\n") + 1


WRONG = [
    # text that is replaced, its replacement, what the message must say
    ('timezone = "UTC"', 'timezone = "Mars"', "'Mars' is not a time zone"),
    ('score_every = "1m"', 'score_every = "1x"', "is not a duration"),
    ('score_every = "1m"', "score_every = 60", "must be a duration"),
    ('score_every = "1m"', 'score_every = "9d"', 'allowed is "1s" to "1d"'),
    ('lateness = "2d"', 'latenes = "2d"', "did you mean lateness"),
    ("customer_id_max_bytes = 40", "customer_id_max_bytes = 4000", "allowed is 1 to 255"),
    ("customer_id_max_bytes = 40", "customer_id_max_bytes = true", "whole number"),
    ('forget_after = "400d"', 'forget_after = "20d"', "shorter than the label's horizon"),
    ('name = "subscription_churn"', 'name = "Subscription"', "is not a name"),
    ("deduplicate = false", 'deduplicate = "no"', "true or false"),
    ("[topics.survey]", "[topics.clock]", "is a topic of driftline itself"),
    ("kinds = { survey_answered", "kinds = { login", "'login' is in topics usage and survey"),
    ("kinds = { survey_answered", "kinds = { Survey", "is not a kind name"),
    ('urgent = ["ticket_opened"]', 'urgent = ["ticket_open"]', "did you mean ticket_opened"),
    ('csat = { type = "number"', 'csat = { type = "float"', "allowed are number, integer, time, category"),
    ("csat = {", "kind = {", "is a field of every event"),
    ('unit = "1..5", scale = 10', 'unit = "1..5", scale = 0', "1 to 1000000"),
    ('actions = { type = "integer"', 'actions = { scale = 10, type = "integer"', r"not known here \(type integer\)"),
    ('categories = ["basic", "plus", "pro"]', "categories = []", "allowed are 1 to 1000"),
    ('categories = ["basic", "plus", "pro"]', 'categories = ["a", "a"]', "names something twice"),
    ('end = ["cancel"]', 'end = ["cancelled"]', "did you mean cancel"),
    ('end = ["cancel"]', 'end = ["subscribe"]', "begins or ends, not both"),
    ('min_tenure = "14d"', 'tenure = "14d"', "did you mean min_tenure"),
    ('horizon = "30d"', 'horizon = "36h"', "whole days"),
    ('horizon = "30d"', 'horizon = "30d"\ngrace = "1d"', r"not known here \(type cancel\)"),
    ('of = ["login"]', 'of = ["logn"]', "'logn' is not a kind; did you mean login"),
    ('of = ["login"]', "of = []", "name at least one kind"),
    ('windows = ["7d", "30d"]', 'windows = ["7d", "31d"]', "allowed are 1d, 7d, 14d, 30d, 60d, 90d"),
    ('windows = ["7d", "30d"]', 'windows = ["30d", "7d"]', "must ascend"),
    ('windows = ["7d", "30d"]', "windows = []", "is empty"),
    ('type = "trend"', 'type = "trnd"', "did you mean trend"),
    ('field = "csat"', 'field = "price"', "is not a value field of topic survey"),
    ('part = "weekday"', 'part = "week"', "did you mean weekday"),
    ('closed_by = ["ticket_resolved"]', 'closed_by = ["ticket_opened"]', "is in of too"),
    ('to = ["payment"]', 'to = ["payment"]\nof = ["payment"]', r"not known here \(type delay\)"),
    ('open_above = "threshold"', 'open_above = "high"', '"threshold" or a number'),
    ("close_below = 0.7", "close_below = 7", "allowed is 0 to 1"),
    ("reasons = 3", "reasons = 3.5", "whole number"),
    ("[label]", "[lable]", "did you mean label"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "says"), WRONG, ids=[new for _, new, _ in WRONG])
def test_a_wrong_entry_names_its_line_and_what_is_allowed(old: str, new: str, says: str) -> None:
    assert old in TEXT
    line = line_of(TEXT, old) + new.count("\n")
    with pytest.raises(WorkloadError, match=says) as caught:
        parse_workload(TEXT.replace(old, new, 1), "mine.toml")
    assert (caught.value.path, caught.value.line) == ("mine.toml", line)
    assert str(caught.value).startswith(f"mine.toml:{line}: ")
    assert "\n" not in str(caught.value)


WRONG_SMALL = [
    ('kinds = { "Look" = "view"', 'kinds = { "Look" = "see"', "'see' is not allowed"),
    ('kind_column = "what"', 'kind_column = "whta"', "did you mean what"),
    ('customer_id = "who"', 'customer_id = "whom"', "did you mean who"),
    ('path = "shop-*.csv.gz"', 'path = "shop.xls"', "does not say its format"),
    ("header = false", 'separator = "ab"', "must be one character"),
    ('other = "ignore"', 'other = "skip"', "allowed are error, ignore"),
    ("not_prefix", "not_prefx", "allowed are column, equals"),
    ("values = { amount = 9.5 }", "values = { amont = 9.5 }", "did you mean amount"),
    ("values = { amount = 9.5 }", "values = { tier = 9.5 }", "a category takes a column"),
    ("values = { amount = 9.5 }", "values = { amount = true }", "name of a column, or a number"),
    ("values = { amount = 9.5 }", 'values = { amount = "csh" }', "did you mean cash"),
    ('known = "row"', 'known = "never"', "allowed are time, row"),
    ('field = "paid_until"\ngrace', 'field = "amount"\ngrace', "type number; allowed here are time"),
    ('customer_id = "who"\n', 'customer_id = "who"\nformat = "jsonl"\n', "belongs to csv"),
]


@pytest.mark.parametrize(("old", "new", "says"), WRONG_SMALL, ids=[new for _, new, _ in WRONG_SMALL])
def test_a_wrong_source_is_refused_in_its_own_table(old: str, new: str, says: str) -> None:
    assert old in SMALL
    with pytest.raises(WorkloadError, match=says) as caught:
        parse_workload(SMALL.replace(old, new, 1))
    assert caught.value.line is not None


MISSING = [
    "[label]\n",
    'name = "small"\n',
    'type = "until"\n',
    'horizon = "30d"\n',
    'kind = "buy"\n',
    'event_time = "at"\n',
]


@pytest.mark.parametrize("part", MISSING)
def test_what_is_needed_is_missed(part: str) -> None:
    with pytest.raises(WorkloadError):
        parse_workload(SMALL.replace(part, "", 1))


def test_two_features_may_not_give_one_column() -> None:
    again = TEXT + '\n[[feature]]\nname = "logins_7d"\ntype = "recency"\nof = ["login"]\n'
    with pytest.raises(WorkloadError, match="column 'logins_7d' again") as caught:
        parse_workload(again)
    assert caught.value.line == line_of(again, 'name = "logins_7d"')


def test_no_toml_no_file_and_no_text_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="is not TOML") as caught:
        parse_workload('[workload]\nname = "a"\nname = ')
    assert caught.value.line == 3
    with pytest.raises(WorkloadError, match="built in are subscription_churn"):
        load_workload(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(WorkloadError, match="UTF-8"):
        load_workload(tmp_path / "latin.toml")


def test_the_hash_follows_what_is_meant() -> None:
    base = parse_workload(SMALL).hash
    same = [
        SMALL.replace("# ", "#  ") + "\n# a comment\n",
        SMALL.replace('"saw a page"', '"looked"'),
        SMALL[: SMALL.index("[[source]]")],
        SMALL.replace("scale = 100", "scale  =  1_00"),
    ]
    other = [
        SMALL.replace("scale = 100", "scale = 10"),
        SMALL.replace('view = "saw a page", buy = "bought"', 'buy = "bought", view = "saw a page"'),
        SMALL.replace('grace = "3d"', 'grace = "4d"'),
        SMALL.replace('name = "left"', 'name = "rest"'),
        SMALL + '[watch]\nstep = "6h"\n',
    ]
    assert {parse_workload(text).hash for text in same} == {base}
    hashes = {parse_workload(text).hash for text in other}
    assert len(hashes) == len(other)
    assert base not in hashes
