"""Where there is nothing to know, the commands say so and release nothing; splits are in time, and in time alone."""

from __future__ import annotations

import ast
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from driftline.cli import COMMANDS, cli, load
from schemas.durations import DAY_MS
from schemas.events import EventBatch
from schemas.lake import Lake
from schemas.workload import Workload

Batches = list[EventBatch]


def _cancels(workload: Workload, batch: EventBatch) -> np.ndarray[Any, np.dtype[np.bool_]]:
    billing = workload.topic("billing")
    return np.asarray((batch.kind == billing.kind_index["cancel"]) & (batch.topic == "billing"))


def _shuffled_labels(workload: Workload, batches: Batches) -> Batches:
    """The same log; who cancels is drawn anew among those who had begun by then."""
    rng = np.random.default_rng(1)
    contracts = [b.take(~_cancels(workload, b)) for b in batches if b.topic == "billing"]
    begun = {c: t for b in contracts for c, t in zip(b.customer_id, b.event_time_ms.tolist(), strict=True)}
    left: set[str] = set()
    made = []
    for batch in batches:
        who = batch.customer_id.copy()
        for i in np.flatnonzero(_cancels(workload, batch)):
            can = sorted(c for c, t in begun.items() if t < batch.event_time_ms[i] and c not in left)
            who[i] = can[int(rng.integers(len(can)))]
            left.add(who[i])
        made.append(dataclasses.replace(batch, customer_id=who))
    return made


def _eight_leavers(workload: Workload, batches: Batches) -> Batches:
    """Only eight cancellations are left, spread over the days that are split."""
    days = np.concatenate([b.event_time_ms[_cancels(workload, b)] for b in batches])
    days = np.sort(days[days > days.min() + 40 * DAY_MS])
    kept = set(days[np.linspace(0, len(days) - 1, 8).astype(int)].tolist())
    return [b.take(~_cancels(workload, b) | np.isin(b.event_time_ms, list(kept))) for b in batches]


def _random_inside(workload: Workload, batches: Batches) -> Batches:
    """Events of random customers: nothing that a customer does is told by what the customer did."""
    rng = np.random.default_rng(2)
    names = np.unique(np.concatenate([b.customer_id.astype(str) for b in batches])).astype(object)
    return [
        b if b.topic == "billing" else dataclasses.replace(b, customer_id=names[rng.integers(0, len(names), len(b))])
        for b in batches
    ]


@pytest.mark.parametrize(
    ("spoil", "signal"),
    [(_shuffled_labels, True), (_eight_leavers, True), (_random_inside, False)],
    ids=["shuffled labels", "eight leavers", "random inside"],
)
def test_no_skill_is_claimed_where_there_is_none_and_nothing_is_released(
    spoil: Callable[[Workload, Batches], Batches],
    signal: bool,
    workload: Workload,
    company: Any,
    fill: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    fill(Lake(tmp_path / "lake"), workload, spoil(workload, company(workload, n_days=220, signal=signal)))
    trained = CliRunner().invoke(cli, ["train"])
    assert trained.exit_code == 0, trained.output
    assert "No skill claimed: " in trained.stdout
    assert any(why in trained.stdout for why in ("covers 0.5", "the rule does as well", "too few"))
    evaluated = json.loads(CliRunner().invoke(cli, ["evaluate", "--json"]).stdout)
    assert not evaluated["skill"]["claimed"]
    released = CliRunner().invoke(cli, ["release", "v0001"])
    assert released.exit_code == 2
    assert "shows no skill on held-out data" in released.stderr
    assert "--force releases it anyway" in released.stderr


def _options() -> Iterator[tuple[str, str]]:
    def walk(name: str, command: click.Command) -> Iterator[tuple[str, str]]:
        for parameter in command.params:
            yield from ((name, option) for option in (*parameter.opts, *parameter.secondary_opts))
        if isinstance(command, click.Group):
            for inner in command.commands.values():
                yield from walk(f"{name} {inner.name}", inner)

    for name, entry in COMMANDS.items():
        if entry.target.startswith(("offline", "driftline.pipeline")):
            yield from walk(name, load(entry.target))


def test_no_command_offers_a_random_split() -> None:
    options = list(_options())
    assert ("train", "--test-cutoffs") in options
    for name, option in options:
        words = set(option.strip("-").split("-"))
        forbidden = words & {"split", "shuffle", "stratify", "holdout", "cv", "fraction"}
        assert not forbidden, f"driftline {name} {option}"


def test_nothing_in_the_house_splits_at_random(repository: Path) -> None:
    splitters = ("train_test_split", "KFold", "ShuffleSplit", "RepeatedKFold", "StratifiedKFold", "GroupKFold",
                 "StratifiedShuffleSplit", "cross_val_score", "cross_val_predict", "cross_validate")  # fmt: skip
    found = []
    for path in sorted((repository / "offline").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "name", None)
            if name in splitters or (isinstance(node, ast.FunctionDef) and "random_split" in node.name):
                found.append(f"{path.name}: {name}")
    assert not found
