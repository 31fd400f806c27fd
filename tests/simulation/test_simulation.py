"""The real workers on a simulated cluster: whatever goes wrong, at whatever await, nothing is lost, nothing is twice.

``DRIFTLINE_PROVE=1`` runs 1,000 seeds instead of 100. One seed again: ``python -m tests.simulation.run --seeds 17:18``.
"""

from __future__ import annotations

import os
import sys

import pytest

from stream_app import faults
from tests.simulation.run import Total, run_all, run_seed

PROVES = os.environ.get("DRIFTLINE_PROVE") == "1"  # a fixture hides it from the tests themselves
N_SEEDS = 1_000 if PROVES else 100


@pytest.fixture(scope="module")
def total(request: pytest.FixtureRequest) -> Total:
    found, lines = run_all(range(N_SEEDS), jobs=2 if PROVES else 1)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    return found


def test_every_seed_comes_to_the_same_end(total: Total) -> None:
    assert not total.broken, "\n".join(f"{o.broken}\n  again: {o.command}" for o in total.broken)


def test_every_seed_has_events_and_faults_enough(total: Total) -> None:
    assert total.n == N_SEEDS
    assert total.fewest_events >= 2_000
    assert total.fewest_faults >= 2


def test_every_crash_point_is_reached_and_died_at(total: Total) -> None:
    assert [point for point in faults.POINTS if not total.reached[point]] == []
    assert [point for point in faults.POINTS if not total.died_at[point]] == []


def test_a_seed_repeats_itself_to_the_byte() -> None:
    for seed in (0, 1):
        assert run_seed(seed) == run_seed(seed)
