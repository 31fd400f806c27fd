"""Many seeds: ``python -m tests.simulation.run --seeds 0:1000 --jobs 2`` prints seeds per second, coverage, a digest.

``--seeds 17:18`` repeats one seed.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stream_app import faults
from tests.simulation.laws import check
from tests.simulation.world import World


@dataclass
class Outcome:
    """What one seed came to; ``broken`` says what did not hold."""

    seed: int
    n_events: int
    digest: int
    broken: str = ""
    happened: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    died_at: Counter[str] = field(default_factory=Counter)

    @property
    def n_faults(self) -> int:
        return self.happened.total()

    @property
    def command(self) -> str:
        return f"python -m tests.simulation.run --seeds {self.seed}:{self.seed + 1}"


def run_seed(seed: int) -> Outcome:
    """Live once, and look whether the laws hold."""
    world, broken = World(seed), ""
    gc_was_on = gc.isenabled()
    gc.disable()  # what nobody holds any more ends when the world does, not when the collector comes by
    try:
        world.run()
        check(world)
    except Exception as error:
        broken = f"{type(error).__name__}: {error}"
    finally:
        if gc_was_on:
            gc.enable()
    happened = world.chaos.happened + world.trouble.happened
    return Outcome(
        seed, world.events.n_events, world.digest(), broken, happened, world.chaos.reached, world.chaos.died_at
    )


def run_seeds(seeds: Iterable[int], jobs: int = 1) -> Iterator[Outcome]:
    """Outcomes in the order of the seeds."""
    if jobs == 1:
        yield from map(run_seed, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(run_seed, seeds, chunksize=8)


@dataclass
class Total:
    """Of all seeds so far."""

    n: int = 0
    digest: int = 0
    fewest_events: int = sys.maxsize
    fewest_faults: int = sys.maxsize
    happened: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    died_at: Counter[str] = field(default_factory=Counter)
    broken: list[Outcome] = field(default_factory=list)

    def update(self, outcome: Outcome) -> None:
        self.n += 1
        self.digest = zlib.crc32(f"{outcome.seed}:{outcome.digest}".encode(), self.digest)
        self.fewest_events = min(self.fewest_events, outcome.n_events)
        self.fewest_faults = min(self.fewest_faults, outcome.n_faults)
        self.happened += outcome.happened
        self.reached += outcome.reached
        self.died_at += outcome.died_at
        if outcome.broken:
            self.broken.append(outcome)

    def lines(self, seconds: float) -> list[str]:
        head = (
            f"{self.n} seeds in {seconds:.1f} s ({self.n / max(seconds, 1e-9):.1f}/s), each with at least "
            f"{self.fewest_events} events and {self.fewest_faults} faults; {len(self.broken)} broken; "
            f"digest {self.digest:08x}"
        )
        found = [
            head,
            "crash points (reached, died there): "
            + ", ".join(f"{point} {self.reached[point]}/{self.died_at[point]}" for point in faults.POINTS),
            "what went wrong: " + ", ".join(f"{name} {n}" for name, n in self.happened.most_common()),
        ]
        return found + [f"seed {o.seed}: {o.broken}\n  again: {o.command}" for o in self.broken]


def run_all(seeds: Iterable[int], jobs: int = 1) -> tuple[Total, list[str]]:
    """All seeds, and what there is to say."""
    began, total = time.perf_counter(), Total()
    for outcome in run_seeds(seeds, jobs):
        total.update(outcome)
    return total, total.lines(time.perf_counter() - began)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run")
    parser.add_argument("--seeds", default="0:100", help="first:behind the last")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    first, _, last = options.seeds.partition(":")
    total, lines = run_all(range(int(first), int(last or int(first) + 1)), options.jobs)
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if total.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
