"""Runs the stages of a pipeline in order; what is done already with the same inputs is not done again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from driftline.pipeline_record import Record, Result, key_of
from driftline.pipeline_stages import STAGES, Job, Results, Say, Stage

Status = Literal["done", "as before", "refused"]


@dataclass(frozen=True)
class Ran:
    """A stage that was run, or found done.

    Parameters
    ----------
    wall_s
        How long it took; 0 when it was done before.
    """

    name: str
    status: Status
    result: Result
    wall_s: float

    def content(self) -> dict[str, Any]:
        """JSON-able."""
        result = self.result
        return {
            "stage": self.name,
            "status": self.status,
            "summary": result.summary,
            "html": list(result.html),
            "wall_s": self.wall_s,
            "figures": dict(result.figures),
        }


def run_pipeline(
    job: Job,
    record: Record,
    clock_s: Callable[[], float],
    say: Callable[[str, str], None],
    *,
    is_fresh: bool = False,
    stages: Sequence[Stage] = STAGES,
) -> list[Ran]:
    """Run what is not done; a stage that fails ends the run, and the next run goes on there.

    Parameters
    ----------
    clock_s
        A clock in seconds.
    say
        Told the stage and what it does.
    is_fresh
        Run everything, whatever the record says.
    """
    results: dict[str, Result] = {}
    ran: list[Ran] = []
    for stage in (stage for stage in stages if stage.is_wanted(job)):
        key = _key(stage, job, results)
        before = None if is_fresh or key is None else record.load(stage.name, key)
        if before is not None and stage.is_there(job, before):
            results[stage.name] = before
            ran.append(Ran(stage.name, "refused" if before.is_refused else "as before", before, 0.0))
            continue
        began = clock_s()
        say(stage.name, "begins")
        result = stage.run(job, results, _saying(say, stage.name))
        results[stage.name] = result
        ran.append(Ran(stage.name, "refused" if result.is_refused else "done", result, round(clock_s() - began, 2)))
        if key is not None:
            record.save(stage.name, key, result)
    return ran


def _key(stage: Stage, job: Job, results: Results) -> str | None:
    inputs = stage.inputs(job)
    before = [results[name].identity for name in stage.after if name in results]
    return None if inputs is None else key_of(stage.name, inputs, before)


def _saying(say: Callable[[str, str], None], name: str) -> Say:
    return lambda line: say(name, line)
