"""What is missing is found, what is idle is named, and where there is no signal nothing is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from offline.errors import OfflineError
from offline.features.earning import z_by_customer
from offline.features.select import select
from offline.features.suggest import suggest
from offline.features_cli import features
from schemas.lake import Lake
from schemas.workload import Workload, load_workload
from schemas.workload_parse import parse_workload

SMALL = """
[[feature]]
name = "days_since_login"
type = "recency"
of = ["login", "session"]
[[feature]]
name = "weekday"
type = "calendar"
part = "weekday"
[[feature]]
name = "day_of_month"
type = "calendar"
part = "day_of_month"
"""


@pytest.fixture(scope="module")
def small() -> Workload:
    """The default workload without the features of payments."""
    text = load_workload("subscription_churn").text
    head, tail = text[: text.index("[[feature]]")], text[text.index("[[alert]]") :]
    return parse_workload(head + SMALL + tail, "small.toml")


def test_failed_payments_are_found_and_written(
    small: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    fill(Lake(tmp_path / "lake"), small, company(small, 400, 260))
    (tmp_path / "small.toml").write_text(small.text)
    target = tmp_path / "more.toml"
    command = ["suggest", "--workload", str(tmp_path / "small.toml"), "--write", str(target), "--json"]
    done = CliRunner().invoke(features, command, catch_exceptions=False)
    told = json.loads(done.stdout)
    assert any("payment_failed" in name for name in told["kept"])
    assert told["on_the_newest_fold"]["log_loss"]["value"] > 0.0
    written = load_workload(target)
    assert [f.name for f in written.features[len(small.features) :]] == told["kept"]
    assert told["toml"] in target.read_text()
    again = CliRunner().invoke(features, command)
    assert "is there already" in str(again.exception)


def test_without_signal_nothing_is_kept_and_it_says_so(small: Workload, company: Any) -> None:
    batches = company(small, 300, 260, signal=False)
    found = suggest(small, lambda: batches)
    assert found.kept == ()
    assert "nothing is kept" in found.verdict or "none of" in found.verdict


def test_idle_entries_are_named_and_those_that_earn_are_not(small: Workload, company: Any) -> None:
    batches = company(small, 400, 260)
    found = select(small, lambda: batches)
    by_name = {entry.name: entry for entry in found.earned}
    assert not by_name["days_since_login"].is_idle
    assert by_name["days_since_login"].n_folds_helped >= by_name["days_since_login"].n_folds - 1
    assert by_name["days_since_login"] == found.earned[0]
    assert "days_since_login" not in found.verdict


def test_one_fold_is_not_enough_to_choose_and_to_confirm(
    small: Workload, company: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offline.features.suggest.N_FOLDS", 1)
    batches = company(small, 150, 150)
    with pytest.raises(OfflineError, match="fold in time"):
        suggest(small, lambda: batches)


def test_the_error_of_a_mean_takes_rows_of_a_customer_together() -> None:
    rng = np.random.default_rng(0)
    means, zs = [], []
    for _ in range(400):
        customer = np.repeat(np.arange(80), 4)
        value = rng.normal(size=80)[customer] + 0.1 * rng.normal(size=320)
        means.append(value.mean())
        zs.append(z_by_customer(value, customer))
    assert np.std(zs) == pytest.approx(1.0, abs=0.12)
    assert np.mean(np.abs(zs) > 1.96) == pytest.approx(0.05, abs=0.03)
