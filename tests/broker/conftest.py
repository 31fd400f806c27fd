"""Every test of this folder runs on each engine, one after the other, with the same assertions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker.engines import ENGINES, Engine, running


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A broker for the whole session and what it can do; topics live apart by their prefix."""
    with running(request.param) as started:
        yield started


@pytest.fixture(scope="session")
def broker(engine: Engine) -> str:
    """Its address, for the fixture `settings`."""
    return engine.bootstrap
