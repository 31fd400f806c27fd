"""The commands as a user runs them: help with examples, one clear line for what cannot be done, JSON that parses."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from driftline.cli import cli
from schemas.durations import DAY_MS
from schemas.lake import Lake
from schemas.workload import Workload

FIRST_DAY = 19_700  # of the company of `conftest`

COMMANDS = ("ingest", "train", "evaluate", "release", "rollback", "retrain-worker", "report")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "--help"])
    assert done.exit_code == 0
    assert f"\n    driftline {command}" in done.output


def test_the_commands_are_light_to_import() -> None:
    heavy = "{'pandas', 'pyarrow', 'numba', 'numpy', 'confluent_kafka'}"
    code = f"import sys, offline.cli; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train"], "holds no events of this workload"),
        (["evaluate"], "run `driftline train` first"),
        (["release", "v0007"], "no model version 'v0007'"),
        (["train", "--cutoffs", "soon"], "'soon' is not a date; write YYYY-MM-DD"),
        (["train", "--until", "2024-02-30"], "'2024-02-30' is not a date"),
        (["train", "--threshold", "recall:2"], "is not f1, profit, or recall: and a share such as recall:0.8"),
        (["train", "--threshold", "profit"], "add --costs FILE"),
        (["evaluate", "--contact-cost", "1"], "offer_cost is missing; say it there or by --offer-cost"),
        (["evaluate", "--costs", "nowhere.toml"], "costs: nowhere.toml: cannot be read"),
        (["report", "v0007"], "no model version 'v0007'"),
        (["release", "v0001", "--now", "--activate", "2024-01-01"], "not both"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_two(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert line in done.stderr
    assert "Traceback" not in done.output


def _refused(arguments: list[str], line: str) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2, done.output
    assert line in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.output


def test_a_lake_that_can_teach_nothing_is_one_line_and_exit_code_two(
    workload: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = company(workload, n_customers=60)
    billing = workload.topic("billing").kind_index
    stayers = [b.take(b.kind != billing["cancel"]) if b.topic == "billing" else b for b in batches]
    first_days = [b for b in batches if b.known_time_ms.min() < (FIRST_DAY + 50) * DAY_MS]
    for name, filled, arguments, line in (
        ("one-class", stayers, [], "one class only to fit on: 0 of"),
        ("short", first_days, [], "history too short"),
        (
            "unmatured",
            batches,
            _own("2024-02-01", "2024-06-20"),
            "mature when everything before 2024-07-20",
        ),
        ("nobody", batches, _own("2020-02-01", "2024-05-01"), "no eligible customer at those cut-offs"),
    ):
        monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path / name))
        fill(Lake(tmp_path / name / "lake"), workload, [batch for batch in filled if len(batch)])
        _refused(["train", *arguments], line)


def _own(train: str, test: str) -> list[str]:
    return ["--cutoffs", f"{train},2024-03-20", "--test-cutoffs", test]


def test_rows_without_any_feature_are_one_line(
    workload: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = workload.text
    features = text[text.index("[[feature]]") : text.index("[[alert]]")]
    price = '[[feature]]\nname = "price"\ntype = "last"\nof = ["subscribe"]\nfield = "price"\n\n'
    path = tmp_path / "blind.toml"
    path.write_text(text.replace(features, price))
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    fill(Lake(tmp_path / "lake"), workload, company(workload, n_customers=100))
    _refused(["train", "--workload", str(path)], "all 1 features are missing in all")


def test_a_lake_file_without_a_column_is_one_line(
    workload: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    lake = Lake(tmp_path / "lake")
    fill(lake, workload, company(workload, n_customers=20))
    path = lake.files("usage")[3]
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["kind"]), path)
    _refused(["train"], f"{path}: has no column kind, which every event has")


def test_nothing_has_matured_since_training_is_one_line(
    workload: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    fill(Lake(tmp_path / "lake"), workload, company(workload, n_customers=150))
    trained = CliRunner().invoke(cli, ["train", "--cutoffs", "2024-02-01,2024-04-01", "--test-cutoffs", "2024-05-20"])
    assert trained.exit_code == 0, trained.output
    fill(Lake(tmp_path / "early" / "lake"), workload, company(workload, n_customers=150, n_days=140))
    (tmp_path / "models").rename(tmp_path / "early" / "models")
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path / "early"))
    _refused(["evaluate"], "no matured labels after training: the first cut-off is 2024-05-01")


def test_train_and_evaluate_speak_json(
    workload: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    fill(Lake(tmp_path / "lake"), workload, company(workload, n_days=240))
    runner = CliRunner()
    trained = runner.invoke(cli, ["train", "--json", "--no-html", "--until", "2024-07-20"])
    assert trained.exit_code == 0, trained.output
    made = json.loads(trained.stdout)
    assert made["version"] == "v0001"
    assert "html" not in made
    asked = ["--contact-cost", "1", "--offer-cost", "5", "--accept-rate", "0.4", "--customer-value", "100"]
    judged = json.loads(
        runner.invoke(cli, ["evaluate", "v0001", "--json", "--protected", "plan,profile.country", *asked]).stdout
    )
    assert judged["test"][0] >= made["split"]["test"][0]  # not before the embargo is over
    assert judged["test"][-1] > made["split"]["test"][-1]  # and what has matured since
    assert {"n", "n_positive", "roc_auc", "pr_auc", "log_loss", "brier", "lift_10"} <= set(judged["rows"]["tick"])
    assert {"metrics", "calibrators", "profit", "slices", "fairness", "errors"} <= set(judged)
    assert set(judged["fairness"]["attributes"]) == {"plan", "profile.country"}
    page = Path(judged["html"])
    assert page == tmp_path / "reports" / "subscription_churn-v0001-evaluation.html"
    assert "customer-" not in page.read_text()
    assert json.loads(Path(judged["json"]).read_text()) == judged
    assert judged["capped"]["n"] == judged["rows"]["tick"]["n"]
    assert any(row["slicing"] == "segment" for row in judged["slices"]["slices"])
    days = ["--cutoffs", "2024-02-01,2024-02-15,2024-04-01", "--test-cutoffs", "2024-06-01"]
    own = runner.invoke(cli, ["train", *days, "--threshold", "profit", *asked])
    assert own.exit_code == 0, own.output
    content = json.loads((tmp_path / "models" / "subscription_churn" / "v0002" / "threshold.json").read_text())
    assert content["rule"].startswith("maximises profit on the calibration fold (contact 1, offer 5")
    assert content["costs"]["customer_value"] == 100
    assert "held-out.html" in own.stdout
    assert "v0002" in own.stdout
    assert "| model, tick rows |" in own.stdout


def test_what_training_held_out_is_evaluated_on_the_same_days(
    workload: Workload, company: Any, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says that the log is complete for longer than its last event says it for the evaluation, too."""
    monkeypatch.setenv("DRIFTLINE_HOME", str(tmp_path))
    fill(Lake(tmp_path / "lake"), workload, company(workload, n_days=240))
    runner = CliRunner()
    made = json.loads(runner.invoke(cli, ["train", "--json", "--no-html", "--until", "2024-08-10"]).stdout)
    judged = json.loads(runner.invoke(cli, ["evaluate", "--json", "--no-html"]).stdout)
    assert judged["test"] == made["split"]["test"]
    assert judged["rows"]["tick"] == made["rows"]["tick"]
