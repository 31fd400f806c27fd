"""What many tests share: one embedded broker for the session, and settings that no other test can disturb."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from driftline.broker import EmbeddedBroker
from schemas.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent

# Shared machines stall: a slow example is no failure. In CI the same examples are drawn on every run.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")
hypothesis.configuration.set_hypothesis_home_dir(REPOSITORY / ".venv" / ".cache" / "hypothesis")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the working copy."""
    return REPOSITORY


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see none of the settings of the shell that runs them."""
    for name in list(os.environ):
        if name.startswith("DRIFTLINE_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """Address of one embedded broker for the whole session; topics live apart by their prefix."""
    with EmbeddedBroker() as running:
        yield running.bootstrap


@pytest.fixture
def settings(broker: str, tmp_path: Path) -> Settings:
    """Settings on the session's broker, with a topic prefix and a home of the test's own."""
    return Settings(bootstrap=broker, home=tmp_path / "home", topic_prefix=f"t{uuid.uuid4().hex[:10]}-")


@pytest.fixture
def settings_env(settings: Settings) -> dict[str, str]:
    """The same settings as environment variables, for commands that run in a process of their own."""
    return {
        "DRIFTLINE_BOOTSTRAP": settings.bootstrap,
        "DRIFTLINE_HOME": str(settings.home),
        "DRIFTLINE_TOPIC_PREFIX": settings.topic_prefix,
    }
