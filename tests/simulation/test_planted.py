"""Each bug of `tests.simulation.plants`, planted by itself, breaks a law within some seeds."""

from __future__ import annotations

import pytest

from tests.simulation.plants import PLANTS
from tests.simulation.run import run_seed

N_SEEDS = 240


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_bug_is_caught(name: str) -> None:
    with PLANTS[name]():
        found = next((o for seed in range(N_SEEDS) if (o := run_seed(seed)).broken), None)
    assert found is not None, f"nobody noticed: {name}"
