"""Every test of this folder runs on each engine, one after the other, with the same assertions.

What takes many minutes runs with ``DRIFTLINE_PROVE=1`` alone, as `make prove` does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker.engines import ENGINES, PROVE, Engine, running

LONG = ("test_group.py", "test_outages.py", "test_broker_errors.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the long tests to `make prove`."""
    if PROVE:
        return
    skip = pytest.mark.skip(reason="takes long: make prove")
    for item in items:
        is_long = any(name in item.nodeid for name in LONG)
        if item.nodeid.startswith("tests/broker/") and (
            is_long or ("test_crash" in item.nodeid and "embedded" in item.nodeid)
        ):
            item.add_marker(skip)


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A broker for the whole session and what it can do; topics live apart by their prefix."""
    with running(request.param) as started:
        yield started


@pytest.fixture(scope="session")
def broker(engine: Engine) -> str:
    """Its address, for the fixture `settings`."""
    return engine.bootstrap
