"""A version is released by its gates; what was forced is told for good, with and without a broker."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from driftline import cli as front
from driftline.cli import Entry, cli
from offline.cutoffs import Cutoffs, choose_test_cutoffs, day_of
from offline.errors import OfflineError, ReleaseError
from offline.feature_parity import compare_features
from offline.gates import Gate
from offline.held_out import Contestant, held_out
from offline.history import BatchHistory
from offline.promote import Judgement, judge_version
from offline.registry import Registry
from offline.release import past_releases
from offline.training_options import TrainingOptions
from offline.training_run import train_version
from offline.training_set import Span, build_training_set
from offline.version_history import tell_history
from schemas.bundle import REQUIRED_FILES, write_bundle
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.signatures import Signer, create_signer, load_signer
from schemas.topic_admin import create_topics
from schemas.workload import Workload
from schemas.workload_parse import parse_workload

Run = Callable[..., Result]
INTERVAL = {"value": 0.8, "low": 0.7, "high": 0.9}


@pytest.fixture(scope="module")
def grown(workload: Workload, company: Any, fill: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two signed versions, the second trained on more; nothing released."""
    settings = Settings(home=tmp_path_factory.mktemp("promoted"))
    create_signer(settings)
    fill(Lake(settings.lake_dir), workload, company(workload, n_customers=300, n_days=230))
    early = TrainingOptions(n_event_rows=2_000, until_day=day_of("2024-05-05"))
    train_version(settings, workload, early)
    train_version(settings, workload, TrainingOptions(n_event_rows=2_000, until_day=day_of("2024-06-20")))
    return settings


@pytest.fixture
def home(grown: Settings, settings: Settings, workload: Workload) -> Settings:
    """The same files, copied, with a broker; the lake is that of the test's topic prefix."""
    shutil.copytree(grown.models_dir, settings.models_dir)
    shutil.copytree(grown.lake_dir, settings.lake_dir)
    create_topics(settings, workload)
    return settings


@pytest.fixture
def run(grown: Settings, settings_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line of an installation that takes signed bundles only."""
    for name, value in (settings_env | {"DRIFTLINE_TRUSTED_KEYS": str(grown.keys_dir / "signing.pub")}).items():
        monkeypatch.setenv(name, value)
    for name in ("compare", "promote", "history"):
        monkeypatch.setitem(front.COMMANDS, name, Entry(f"offline.{name}_cli:{name}", ""))
    return lambda *arguments: CliRunner().invoke(cli, list(arguments))


def judged(monkeypatch: pytest.MonkeyPatch, version: str, **is_open: bool) -> None:
    """Make the judges say this of the next version."""
    gates = tuple(Gate(name, found, "as told") for name, found in is_open.items())
    found = Judgement(version, "0" * 64, "rule", gates)
    monkeypatch.setattr("offline.promote.judge_version", lambda *_, **__: found)


def test_a_version_is_judged_at_every_gate_beside_the_rule(run: Run, home: Settings, workload: Workload) -> None:
    tried = run("promote", "v0002", "--dry-run", "--json", "--budget-us", "0.01")
    assert tried.exit_code == 1
    found = json.loads(tried.stdout)
    assert found["champion"] == "rule"
    gates = {gate["name"]: gate for gate in found["gates"]}
    assert list(gates) == ["workload", "skill", "better", "calibrated", "slices", "features", "latency", "onnx"]
    assert (found["released"], past_releases(home, workload)) == (None, [])
    assert [name for name, gate in gates.items() if gate["is_open"] is False] == found["failed"]
    skill = Registry.of(home, workload.name).load("v0002").json("evaluation.json")["skill"]
    assert (gates["skill"]["is_open"], gates["skill"]["figure"]) == (skill["claimed"], skill["text"])
    for name in ("workload", "better", "features", "onnx"):
        assert gates[name]["is_open"], gates[name]["figure"]
    assert "equal bit by bit" in gates["features"]["figure"]
    assert "us a row" in gates["latency"]["figure"]
    assert not gates["latency"]["is_open"]


def write_skilled(settings: Settings, workload: Workload, signer: Signer | None) -> str:
    """A version that says of itself that it is good, without a model."""
    registry = Registry(settings.models_dir, workload.name)
    evaluation = {"skill": {"claimed": True, "text": "AUC 0.8"}, "rows": {"tick": {"roc_auc": INTERVAL}}}
    made = write_bundle(
        settings.models_dir,
        dict.fromkeys(REQUIRED_FILES, b"{}") | {"evaluation.json": json.dumps(evaluation).encode()},
        workload=workload.name,
        version=registry.next_version(),
        workload_hash=workload.hash,
        data_window={"train": ["2024-01-01", "2024-03-01"], "known_until_day": "2024-06-01"},
        signer=signer,
    )
    return made.manifest.version


def test_open_gates_release_and_a_closed_one_is_exit_code_one(
    run: Run, settings: Settings, grown: Settings, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_topics(settings, workload)
    for _ in range(2):
        write_skilled(settings, workload, load_signer(grown))
    judged(monkeypatch, "v0001", better=True, latency=True)
    done = run("promote", "v0001")
    assert done.exit_code == 0, done.output
    assert "released v0001: scores from the first day on" in done.stdout
    judged(monkeypatch, "v0002", better=True, latency=False)
    kept_out = run("promote", "v0002")
    assert kept_out.exit_code == 1
    assert "FAIL  latency" in kept_out.stdout
    assert "kept out by latency" in kept_out.stdout
    assert Registry(settings.models_dir, workload.name).alias("champion") == "v0001"
    assert run("promote", "v0002", "--force").exit_code == 0
    story = run("history").stdout
    assert "v0002 (champion)  trained 2024-01-01 to 2024-03-01, AUC 0.800 (0.700 to 0.900), skill" in story
    assert f"signed by {load_signer(grown).public_key[:16]}, the bundle of v0001" in story  # type: ignore[union-attr]
    assert "in place of v0001; FORCED past latency" in story
    for broker in ("--broker", "--no-broker"):
        told = json.loads(run("history", "--json", broker).stdout)
        assert told["releases_from_topic"] == (broker == "--broker")
        first, second = (version["releases"][0] for version in told["versions"])
        assert (first["replaced"], first["forced"]) == ("rule", [])
        assert (second["replaced"], second["forced"]) == ("v0001", ["latency"])
    assert run("rollback").exit_code == 0
    versions = json.loads(run("history", "--json", "--no-broker").stdout)["versions"]
    assert [r["status"] for r in versions[0]["releases"]] == ["release", "rollback"]
    write_skilled(settings, workload, None)
    assert "v0003  refused: bundle " in run("history").stdout


def test_the_champion_is_not_promoted_again(grown: Settings, workload: Workload) -> None:
    Registry.of(grown, workload.name).set_alias("champion", "v0001")
    with pytest.raises(ReleaseError, match="champion already"):
        judge_version(grown, workload, "v0001", lambda: 0.0)
    (grown.models_dir / workload.name / "champion").unlink()


def test_history_needs_no_broker(grown: Settings, workload: Workload) -> None:
    nowhere = replace(grown, bootstrap="127.0.0.1:9")
    stories, is_from_topic = tell_history(nowhere, workload)
    assert not is_from_topic
    assert [(story.version, list(story.releases)) for story in stories] == [("v0001", []), ("v0002", [])]
    assert "AUC 0." in stories[0].lines()[0]
    card = grown.models_dir / workload.name / "v0001" / "card.md"
    before = card.read_bytes()
    card.write_bytes(b"changed")
    assert "has changed since" in str(tell_history(nowhere, workload)[0][0].refused)
    card.write_bytes(before)


@pytest.mark.usefixtures("home")
def test_compare_judges_on_rows_after_both_trainings(run: Run, grown: Settings, workload: Workload) -> None:
    found = json.loads(run("compare", "v0002", "v0001", "--json").stdout)
    window = Registry.of(grown, workload.name).load("v0002").manifest.data_window
    assert day_of(found["test"][0]) >= day_of(window["train"][-1]) + 30
    assert (found["first"], found["second"]) == ("v0002", "v0001")
    assert set(found["gains"]) == {"auc", "log_loss", "brier", "lift_10"}
    text = run("compare", "challenger", "rule").stdout
    assert text.startswith("v0002 beside rule: ")
    assert "verdict on v0002: " in text


def test_versions_with_other_features_are_compared_on_the_rows_that_both_have(
    grown: Settings, workload: Workload
) -> None:
    fewer = parse_workload(workload.text.replace('name = "days_since_login"', 'name = "days_since_sign_in"'), "w.toml")
    assert fewer.hash != workload.hash
    one = Contestant.of(grown, workload, "v0002")
    found = held_out(grown, one, replace(one, version="other", workload=fewer))
    alone = held_out(grown, one, one)
    np.testing.assert_array_equal(found.first, alone.first)
    np.testing.assert_array_equal(found.second, alone.first)
    other_label = parse_workload(workload.text.replace('horizon = "30d"', 'horizon = "60d"'), "w.toml")
    with pytest.raises(OfflineError, match="predict different labels"):
        held_out(grown, one, replace(one, version="other", workload=other_label))


def test_a_feature_that_differs_from_other_codes_is_found_and_named(grown: Settings, workload: Workload) -> None:
    def split(span: Span) -> Cutoffs:
        return choose_test_cutoffs(span.first_day + 60, span.known_until_day, 30)

    history = BatchHistory(Lake(grown.lake_dir), workload)
    testing = build_training_set(workload, history, split, n_event_rows=0, purposes={"test": "to test on"})
    rows = testing.rows.take(testing.fold("test", row_kind=0))
    same = compare_features(workload, history(), rows, n_customers=10)
    assert (same.n_different, same.first, same.n_customers) == (0, None, 10)
    assert same.n_rows > 10
    x = rows.X.copy()
    x[:, 3] = np.nextafter(x[:, 3], np.float32(np.inf))
    other = compare_features(workload, history(), replace(rows, X=x), n_customers=10)
    assert other.n_different == other.n_rows
    assert workload.columns()[3] in str(other.first)
