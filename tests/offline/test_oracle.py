"""A model beside an oracle: shares of a known world, the same rows for both, and what cannot be compared."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from driftline.cli import cli
from offline.errors import OfflineError
from offline.oracle import Oracle, beside_oracle, load_oracle, oracle_line


def _world(seed: int, n: int = 4000) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.beta(1.0, 4.0, n)
    y = (rng.random(n) < truth).astype(np.float64)
    return y, np.arange(n) // 2, truth, rng


def test_the_oracle_itself_has_the_whole_lift_and_a_coin_has_none() -> None:
    y, customer, truth, rng = _world(0)
    own = beside_oracle(y, customer, truth, truth)["lift_share"]
    assert own == {"value": 1.0, "low": 1.0, "high": 1.0}
    coin = beside_oracle(y, customer, rng.random(len(y)), truth)["lift_share"]
    assert abs(coin["value"]) < 0.2
    assert coin["low"] < coin["value"] < coin["high"]


def test_the_share_is_that_of_scikit_learns_areas_on_the_rows_that_both_know() -> None:
    y, customer, truth, rng = _world(1)
    score = truth + 0.2 * rng.standard_normal(len(y))
    truth = np.where(rng.random(len(y)) < 0.1, np.nan, truth)
    known = np.isfinite(truth)
    found = beside_oracle(y, customer, score, truth)
    lift = [roc_auc_score(y[known], column[known]) - 0.5 for column in (score, truth)]
    assert found["lift_share"]["value"] == pytest.approx(lift[0] / lift[1])
    assert (found["n"], found["n_left_out"]) == (known.sum(), (~known).sum())
    assert found["lift_share"]["low"] < found["lift_share"]["value"] < found["lift_share"]["high"]
    assert "of the oracle's lift" in oracle_line(found)


def test_rows_are_joined_by_day_and_customer(tmp_path: Path) -> None:
    columns = {"day": [5, 5, 6], "customer_id": ["a", "b", "a"], "p_churn": [0.1, 0.2, 0.3]}
    pq.write_table(pa.table(columns), tmp_path / "oracle.parquet")
    oracle = load_oracle(tmp_path / "oracle.parquet")
    assert oracle.days == (5, 6)
    rows = np.array(["b", "a", "a", "c"], dtype=object), np.array([5, 6, 7, 5])
    np.testing.assert_array_equal(oracle.probabilities(*rows), [0.2, 0.3, np.nan, np.nan])


def test_what_is_no_oracle_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no table")
    with pytest.raises(OfflineError, match="cannot be read as Parquet"):
        load_oracle(tmp_path / "text")
    pq.write_table(pa.table({"day": [1]}), tmp_path / "columns")
    with pytest.raises(OfflineError, match="has no column 'customer_id'"):
        load_oracle(tmp_path / "columns")
    y, customer, truth, _ = _world(2, 10)
    with pytest.raises(OfflineError, match="knows none of the customers"):
        beside_oracle(y, customer, truth, Oracle({}).probabilities(customer.astype(object), customer))


def test_from_a_simulation_to_the_share_by_commands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DRIFTLINE_WORKLOAD", str(tmp_path / "sim" / "workload.toml"))

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    sizes = ("--customers", "400", "--days", "150", "--seed", "3")
    run("simulate", *sizes, "--to", "files", "--out", str(tmp_path / "sim"))
    run("ingest", "--from-files")
    run("train")
    found = json.loads(run("evaluate", "v0001", "--oracle", str(tmp_path / "sim" / "oracle.parquet"), "--json"))
    beside = found["oracle"]
    assert beside["n"] > 300
    assert beside["n_left_out"] == 0
    assert 0.5 < beside["model"]["value"] < beside["oracle"]["value"]
    assert "lift over 0.5" in Path(found["html"]).read_text()
    assert beside["days"][0] <= beside["days"][-1] <= found["test"][-1]
    refused = CliRunner().invoke(cli, ["evaluate", "--oracle", str(tmp_path / "nothing.parquet")])
    assert refused.exit_code == 2
    assert "cannot be read as Parquet" in refused.stderr
