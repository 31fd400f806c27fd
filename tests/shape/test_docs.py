"""What README and docs name exists, what they show runs, and their tables are those of the code."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from driftline.alerts import TABLE_HEAD, table_line
from driftline.cli import COMMANDS, load
from schemas.durations import format_duration
from schemas.settings import PREFIX, Settings
from schemas.topics import FOREVER_MS, Topic, topics_for
from schemas.workload import load_workload
from schemas.workload_parse import parse_workload

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PACKAGES = ("driftline", "offline", "producers", "schemas", "stream_app")
PATH = re.compile(r"\.?[\w-]+(?:/[\w.-]+)*/|(?:\.?[\w-]+/)+[\w.-]+|[\w-]+\.(?:py|toml|md|yml|json|avsc|lock)", re.ASCII)
MADE_AT_RUN_TIME = {".driftline/demo", ".venv/bin", "demo-summary.json"}
KEYS = {  # what the table says of the keys; the topics themselves do not know them
    "clock": "`clock`", "drift": "event id", "retrain-signals": "signal id", "model-releases": "version and day",
    "dead-letters": "topic and partition", "state": "row, block or part", "journal": "checkpoint",
    "summaries": "partition", "probe": "`probe`",
}  # fmt: skip


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of a page in one language; "" for those that name none."""
    return [
        block for named, block in re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.M | re.S) if named == language
    ]


def spans(page: str) -> list[str]:
    """Code in backticks outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S))


def command_lines(page: str) -> list[str]:
    """Everything on a page that calls ``driftline``, without what stands before."""
    typed = [line for block in blocks(page, "console") for line in block.splitlines()]
    found = [re.search(r"\bdriftline(?: .*|$)", line) for line in [*typed, *spans(page)] if "export" not in line]
    return [match[0] for match in found if match and re.match(r"driftline [a-z-]+", match[0])]


def test_every_path_exists() -> None:
    named = {(page, span) for page in PAGES for span in spans(page) if PATH.fullmatch(span)}
    assert len(named) > 50
    missing = [
        f"{page}: {path}" for page, path in sorted(named) if path not in MADE_AT_RUN_TIME and not (ROOT / path).exists()
    ]
    assert missing == []


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", text_of(page)):
            assert "://" in target or ((ROOT / page).parent / target).exists(), f"{page}: {target}"


def test_every_dotted_name_resolves() -> None:
    named = {
        span for page in PAGES for span in spans(page) if re.fullmatch(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+", span)
    }
    for name in named:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def called() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for line in command_lines(page):
            yield page, line


@pytest.mark.parametrize(("page", "line"), sorted(set(called())))
def test_every_command_can_be_typed_as_it_stands(page: str, line: str) -> None:
    _, name, *words = shlex.split(line)
    assert name in COMMANDS, f"{page}: {line}"
    command = load(COMMANDS[name].target)
    while isinstance(command, click.Group) and words:
        assert words[0] in command.commands, f"{page}: {line}"
        command, words = command.commands[words[0]], words[1:]
    in_a_sentence = line in spans(page)  # there a required argument may be left out
    command.make_context(name, words, resilient_parsing=in_a_sentence)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.M))
    typed = [line for page in PAGES for block in blocks(page, "console") for line in block.splitlines()]
    for line in [*typed, *(span for page in PAGES for span in spans(page))]:
        if match := re.match(r"(?:\$ )?make ([a-z]+)", line):
            assert match[1] in targets, line


def rows_after(page: str, head: str) -> list[list[str]]:
    """Cells of the table whose head line begins so."""
    lines = text_of(page).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(head))
    rows = []
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_table_of_commands_is_complete() -> None:
    assert [row[0] for row in rows_after("README.md", "| command |")] == [f"`driftline {name}`" for name in COMMANDS]


def topic_row(topic: Topic) -> list[str]:
    name = "state-<hash>-<N>" if topic.role == "state" else topic.name
    kept = "for ever" if topic.retention_ms == FOREVER_MS else format_duration(topic.retention_ms)
    return [
        f"`{name}`", KEYS.get(topic.role, "customer id"), topic.schema or "own bytes",
        "1" if topic.partitions == 1 else "N", topic.cleanup, "newest per key" if topic.cleanup == "compact" else kept,
        topic.doc,
    ]  # fmt: skip


def test_the_table_of_topics_is_the_codes() -> None:
    topics = topics_for(load_workload("subscription_churn"), Settings())
    assert rows_after("README.md", "| topic |") == [topic_row(topic) for topic in topics]
    assert [topic.is_internal for topic in topics][-3:] == [True] * 3, "the sentence below the table"


def test_the_table_of_settings_is_the_codes() -> None:
    rows = rows_after("README.md", "| setting |")
    assert [row[0] for row in rows] == [f"`{PREFIX}{f.name.upper()}`" for f in fields(Settings)]
    shown = {"False": "0", "True": "1"}
    defaults = [str(getattr(Settings(), f.name)) for f in fields(Settings)]
    assert [row[1] for row in rows] == [f"`{shown.get(value, value)}`" if value else "" for value in defaults]


def test_the_path_is_drawn_the_same_everywhere() -> None:
    drawn = {
        page: [block for block in blocks(page, "") if block.startswith("sources ->")]
        for page in ("README.md", "docs/tour.md")
    }
    assert drawn["README.md"] == drawn["docs/tour.md"]
    assert len(drawn["README.md"]) == 1
    folders = re.findall(r"(\w+)/", drawn["README.md"][0])
    assert folders == ["producers", "stream_app", "offline", "stream_app"]


def test_the_example_workload_is_one() -> None:
    (text,) = blocks("README.md", "toml")
    workload = parse_workload(text, "shop.toml")
    assert workload.name == tomllib.loads(text)["workload"]["name"]
    assert {"orders_7d", "orders_30d", "orders_90d"} < set(workload.columns())


@pytest.mark.parametrize("code", blocks("README.md", "python"))
def test_python_in_the_readme_imports_what_exists(code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert hasattr(importlib.import_module(str(node.module)), alias.name)


@cache
def toured() -> tuple[doctest.TestResults, dict[str, Any]]:
    """The tour run as one doctest, and the names it leaves behind."""
    names: dict[str, Any] = {}
    text = re.sub(r"^```.*$", "", text_of("docs/tour.md"), flags=re.M)
    tour = doctest.DocTestParser().get_doctest(text, names, "tour", "docs/tour.md", 0)
    return doctest.DocTestRunner().run(tour, clear_globs=False), tour.globs


def test_the_tour_is_true() -> None:
    results, _ = toured()
    assert results.attempted > 40
    assert results.failed == 0


def test_the_alert_in_the_readme_is_the_one_of_the_tour() -> None:
    shown = next(block for block in blocks("README.md", "") if block.startswith("as of"))
    assert shown.splitlines() == [TABLE_HEAD, table_line(toured()[1]["alert"])]


def entries(page: str) -> list[str]:
    """Items of a page's lists, each on one line."""
    return [" ".join(item.split()) for item in re.findall(r"^\* (.*?)(?=^\* |^#|\Z)", text_of(page), re.M | re.S)]


def test_every_word_of_the_glossary_has_its_file() -> None:
    words = entries("docs/glossary.md")
    assert len(words) > 80
    for entry in words:
        assert re.fullmatch(r"\*\*[^*]+\*\*.* `[\w./]+\.(?:py|avsc)`", entry), entry
    names = [name for entry in words for name in re.findall(r"\*\*([^*]+)\*\*", entry)]
    assert len(names) == len(set(names)), "a word stands twice"


def test_decisions_are_numbered_and_dated_and_say_why() -> None:
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", text_of("docs/decisions.md"), re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    for section in re.split(r"^## ", text_of("docs/decisions.md"), flags=re.M)[1:]:
        assert re.search(r"\*\*Decision\*\* \(\d{4}-\d\d-\d\d\)\.", section), section[:60]
        assert "**Why" in section, section[:60]
        assert "**Consequence" in section, section[:60]
