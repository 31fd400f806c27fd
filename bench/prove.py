"""``make prove``: every claim of the guarantees in its long tier, one after the other; writes ``docs/proof.json``.

A claim is proven by tests or by a benchmark and its limits. What does not run here is said to be "not run", with why;
nothing is left out in silence.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import click

from bench.machine import ROOT, describe
from driftline.kafka_jars import missing

PROOF: Final = ROOT / "docs" / "proof.json"
Content = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """One line of what is promised.

    Parameters
    ----------
    name
        Short, for ``--only``.
    says
        The promise, in a sentence.
    minutes
        Most that it may take.
    tests
        Arguments for pytest; or
    bench
        module and arguments that write figures to the file given by ``--json``.
    holds
        Whether these figures keep the promise.
    needs_kafka
        Whether Apache Kafka must be there.
    """

    name: str
    says: str
    minutes: int
    tests: tuple[str, ...] = ()
    bench: tuple[str, ...] = ()
    holds: Callable[[Content], bool] = field(default=lambda figures: True)
    needs_kafka: bool = True


CLAIMS: Final = (
    Claim("crash", "15 crash points x 3 seeds: nothing lost, nothing twice, digests equal", 40,
          tests=("tests/broker/test_crash.py", "tests/broker/test_kill.py")),
    Claim("group", "workers join, leave and are killed, three times each: the same", 20,
          tests=("tests/broker/test_group.py",)),
    Claim("outages", "a broker that stands still or is killed, a cluster of three that loses its leader: the same", 20,
          tests=("tests/broker/test_outages.py",)),
    Claim("planted", "every planted bug is caught", 20, needs_kafka=False,
          tests=("tests/simulation/test_planted.py",)),
    Claim("simulation", "1,000 simulated seeds, all equal", 20, needs_kafka=False,
          tests=("tests/simulation/test_simulation.py", "tests/simulation/test_stateful.py")),
    Claim("errors", "each error of a broker, slow and absent brokers: no position passes an undelivered output", 80,
          needs_kafka=False, tests=("tests/broker/test_broker_errors.py",)),
    Claim("fuzz", "1,000,000 fuzzed payloads: no exit, no hang, the good events' digest unchanged", 60,
          tests=("tests/broker/test_fuzz.py",)),
    Claim("audit", "1,000 past scores reproduced bit for bit", 20, needs_kafka=False,
          tests=("tests/offline/test_audit.py",)),
    Claim("verify", "an independent verifier agrees", 20, needs_kafka=False,
          tests=("tests/offline/test_verifier.py", "tests/offline/test_verifier_parts.py")),
    Claim("latency", "from event to alert at 5,000 events/s: p99 at most 250 ms and 1.5 x a hand-written loop", 15,
          bench=("bench.latency",),
          holds=lambda found: found["ours"]["p99_ms"] <= 250 and found["ratio"]["p99_ms"] <= 1.5),
    Claim("soak", "ten minutes at half speed: no lag, level memory, level latency", 25, bench=("bench.soak",),
          holds=lambda found: bool(found["steady"])),
)  # fmt: skip


def prove(claim: Claim, folder: Path) -> Content:
    """Outcome of one claim: passed, failed or not run, with its figures."""
    absent = [name for name in claim.tests if not (ROOT / name).exists()]
    lacking = list(missing()) if claim.needs_kafka else []
    if absent or lacking:
        return {"outcome": "not run", "why": f"there is no {' and no '.join(absent or lacking)}"}
    began, figures_file = time.monotonic(), folder / f"{claim.name}.json"
    report = folder / f"{claim.name}.xml"
    command = [sys.executable, "-m", *claim.bench, "--json", str(figures_file)]
    if claim.tests:
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *claim.tests]
    is_ok = _run(command, claim.minutes * 60, folder / f"{claim.name}.log")
    figures = _tests(report) if claim.tests else _figures(figures_file)
    if claim.tests:
        is_ok = is_ok and figures.get("failed") == 0 and not figures.get("not_run")
    elif is_ok:
        is_ok = bool(figures) and claim.holds(figures)
    return {"outcome": "passed" if is_ok else "failed", "seconds": round(time.monotonic() - began), "figures": figures}


def _run(command: list[str], seconds: float, log: Path) -> bool:
    variables = os.environ | {"DRIFTLINE_PROVE": "1", "DRIFTLINE_TEST_REQUIRE_KAFKA": "1", "CI": "true"}
    with log.open("wb") as out:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=variables, stdout=out, stderr=subprocess.STDOUT, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            out.write(b"\ntook too long\n")
            return False
    return done.returncode == 0


def _figures(path: Path) -> Content:
    found: Content = json.loads(path.read_text()) if path.exists() else {}
    found.pop("machine", None)
    return found


def _tests(report: Path) -> Content:
    """What ran, from pytest's own report."""
    if not report.exists():
        return {}
    cases = list(ElementTree.parse(report).iter("testcase"))
    bad = [case.get("name") for case in cases if any(case.findall(kind) for kind in ("failure", "error"))]
    skipped = {str(case.get("name")): str(found.get("message")) for case in cases for found in case.findall("skipped")}
    printed = [line for case in cases for out in case.findall("system-out") for line in (out.text or "").splitlines()]
    found: Content = {"tests": len(cases), "failed": len(bad), "not_run": skipped}
    found |= {"failures": bad} if bad else {}
    return found | ({"printed": printed[-40:]} if printed else {})


def _revision() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "HEAD") + (
        " with changes" if git("status", "--porcelain", "--", ":!docs/proof.json") else ""
    )


@click.command()
@click.option("--only", default="", help="Names of claims, separated by commas; the others keep what the file says.")
@click.option("--to", "target", type=click.Path(path_type=Path), default=PROOF, help="Where the proof is written.")
def main(only: str, target: Path) -> None:
    """Prove everything; some hours."""
    names = [claim.name for claim in CLAIMS]
    chosen = only.split(",") if only else names
    if unknown := set(chosen) - set(names):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: there are {', '.join(names)}")
    before: Content = json.loads(target.read_text())["claims"] if target.exists() else {}
    found = {claim.name: before.get(claim.name, {"says": claim.says, "outcome": "not run"}) for claim in CLAIMS}
    head = {"revision": _revision(), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    logs = Path(tempfile.mkdtemp(prefix="driftline-prove-"))
    for claim in CLAIMS:
        if claim.name in chosen:
            found[claim.name] = {"says": claim.says} | prove(claim, logs) | head
            print(f"{claim.name:<12}{found[claim.name]['outcome']:<8}{claim.says}")
            target.write_text(json.dumps(head | {"machine": describe(), "claims": found}, indent=1) + "\n")
    print(f"{target} is written; logs are in {logs}")
    sys.exit(any(found[name]["outcome"] != "passed" for name in chosen))


if __name__ == "__main__":
    main()
