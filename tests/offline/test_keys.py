"""With trusted keys, worker, release and evaluate refuse what is unsigned in one line, and take it once signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from driftline import cli as front
from driftline.cli import Entry, cli
from offline.released_models import ReleasedModels
from offline.verifier.models import load_models
from schemas.bundle import Bundle
from schemas.codec import Codec
from schemas.errors import BundleError
from schemas.registry import FileRegistry
from schemas.settings import Settings
from schemas.topic_admin import create_topics
from schemas.workload import Workload
from stream_app.errors import ModelError
from stream_app.plan import Plan
from stream_app.release_reader import ReleaseReader
from stream_app.watch import References
from tests.lives import tangled_events
from tests.offline.past import release, write_model

Run = Callable[..., Result]


@pytest.fixture
def bundle(settings: Settings, workload: Workload) -> Bundle:
    """An unsigned version that is released already."""
    create_topics(settings, workload)
    made = write_model(
        settings, Plan.from_workload(workload), tangled_events(workload, 400, 20, 1, days=20), "v0001", 1
    )
    release(settings, workload, made, 20_200)
    return made


@pytest.fixture
def run(settings_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in settings_env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(front.COMMANDS, "keys", Entry("offline.keys_cli:keys", ""))
    return lambda *arguments: CliRunner().invoke(cli, list(arguments))


def read_by_all(settings: Settings, workload: Workload, bundle: Bundle) -> list[str]:
    """Everybody who reads released bundles does so; what they complain about."""
    plan, codec = Plan.from_workload(workload), Codec(FileRegistry.for_workload(workload))
    reader, references = ReleaseReader(settings, plan, codec), References(settings)
    record = {"version": "v0001", "path": f"{workload.name}/v0001", "bundle_id": bundle.manifest.bundle_id}
    references.update(record)
    complaints = []
    for read in (
        reader.read_to_end,
        lambda: references("v0001"),
        lambda: ReleasedModels(settings, workload).bundle("v0001"),
        lambda: load_models(settings, workload),
    ):
        try:
            read()
        except (BundleError, ModelError) as error:
            complaints.append(str(error))
    reader.close()
    return complaints


def test_unsigned_is_refused_by_everybody_and_taken_once_signed(
    settings: Settings, workload: Workload, bundle: Bundle, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_by_all(settings, workload, bundle) == []
    key = json.loads(run("keys", "create", "--json").stdout)["public_key"]
    assert run("keys", "show").stdout == f"{key}\n"
    monkeypatch.setenv("DRIFTLINE_TRUSTED_KEYS", key)
    for command in (["release", "v0001"], ["evaluate", "v0001"], ["report", "v0001"]):
        refused = run(*command)
        assert refused.exit_code == 2
        *_, line = refused.stderr.splitlines()
        assert line.startswith("driftline: error: bundle ")
        assert line.endswith("is not signed, and DRIFTLINE_TRUSTED_KEYS takes signed bundles only")
    trusting = replace(settings, trusted_keys=key)
    complaints = read_by_all(trusting, workload, bundle)
    assert len(complaints) == 4
    assert all("is not signed" in complaint for complaint in complaints)
    signed = run("keys", "sign", "v0001")
    assert signed.stdout == f"v0001 is signed by {key}\n"
    assert read_by_all(trusting, workload, bundle) == []
    assert run("release", "v0001", "--force").exit_code == 0


def test_a_second_key_is_refused_and_a_missing_one_is_told(run: Run) -> None:
    missing = run("keys", "show")
    assert (missing.exit_code, "run `driftline keys create` first" in missing.stderr) == (2, True)
    assert run("keys", "create").exit_code == 0
    again = run("keys", "create")
    assert again.exit_code == 2
    assert "a key is never overwritten" in again.stderr


def test_a_trusted_key_that_is_none_is_told_before_anything_is_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_TRUSTED_KEYS", "nowhere.pub")
    done = run("release", "v0001")
    assert done.exit_code == 2
    assert "'nowhere.pub' is neither a public key in hex nor a file that holds one" in done.stderr
