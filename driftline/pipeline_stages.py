"""The stages from raw files to a released model, as a table: one entry for each, in the order in which they run.

A stage calls what its command calls, and says in one line what came of it. Order, repetition and display are the
business of `driftline.pipeline_run`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from driftline.pipeline_record import Result, key_of
from schemas.settings import Settings
from schemas.workload import Workload

if TYPE_CHECKING:
    from offline.training_run import TrainingOptions

Say = Callable[[str], None]
Results = Mapping[str, Result]


@dataclass(frozen=True, eq=False)
class Job:
    """What a pipeline is asked for.

    Parameters
    ----------
    data_dir
        Folder of the sources' files; None takes that of the workload file.
    until_day
        Take only what became known before this day, days since the epoch; None takes all.
    publishes
        Whether the release goes to the workers over the broker.
    replaces
        Whether a lake made of other files is written anew.
    created_ms
        Wall-clock time for the manifest.
    """

    settings: Settings
    workload: Workload
    data_dir: Path | None
    until_day: int | None
    options: TrainingOptions
    publishes: bool
    replaces: bool
    created_ms: int


@dataclass(frozen=True)
class Stage:
    """One stage.

    Parameters
    ----------
    run
        Takes the job, the results of the stages so far, and where to say what it does.
    after
        Stages whose results go in.
    inputs
        What else goes in, JSON-able; a stage is done when all of it is as it was. None: it is never done.
    is_there
        Whether what an earlier run gave is still there.
    """

    name: str
    run: Callable[[Job, Results, Say], Result]
    after: tuple[str, ...] = ()
    inputs: Callable[[Job], Any] = lambda job: []
    is_there: Callable[[Job, Result], bool] = lambda job, result: all(map(_is_file, result.html))


def ingest(job: Job, results: Results, say: Say) -> Result:
    """The sources' files into the lake; a workload without sources takes the lake as it is."""
    from schemas.lake import Lake

    lake = Lake(job.settings.lake_dir)
    if not job.workload.sources:
        slices = [one for topic in job.workload.topics for one in lake.slices(topic.name)]
        n_events = sum(one.n_rows for one in slices)
        return Result(key_of([asdict(one) for one in slices]), f"{n_events:,} events are in the lake")
    from producers.lake_sink import write_lake
    from producers.sources import read_batches

    found = read_batches(job.workload, job.data_dir)
    for source in found.sources:
        say(str(source))
    batches = found.batches if job.until_day is None else _known_before(found.batches, job.until_day)
    done = write_lake(job.workload, batches, lake, job.settings.partitions, replace_files=job.replaces)
    origin = lake.origin()
    said = f"{done.n_events:,} events {'to the lake' if done.is_new else 'were in the lake already'}"
    n_refused = sum(source.refusals.n for source in found.sources)
    return Result(origin.digest if origin else "", said + (f", {n_refused:,} rows refused" if n_refused else ""))


def train(job: Job, results: Results, say: Say) -> Result:
    """The next version, judged on its held-out cut-offs."""
    from offline.training_run import train_version

    bundle = train_version(job.settings, job.workload, job.options, created_ms=job.created_ms, say=say)
    manifest, found = bundle.manifest, bundle.json("evaluation.json")
    told = found | {"version": manifest.version, "path": str(bundle.path), "bundle_id": manifest.bundle_id}
    told.pop("yardstick", None)
    return Result(manifest.bundle_id, f"{manifest.version}: {_skill(found)}", figures=told)


def evaluate(job: Job, results: Results, say: Say) -> Result:
    """All that has matured since the version's training."""
    from offline.training_run import evaluate_version

    found = evaluate_version(job.settings, job.workload, _version(results), say)
    return Result(key_of(found), f"{found['test'][0]} to {found['test'][-1]}: {_skill(found)}", figures=found)


def report(job: Job, results: Results, say: Say) -> Result:
    """How the newest week differs from the days that the version was made on."""
    from offline.report import write_report

    say("rendering")
    path = str(write_report(job.settings, job.workload, _version(results)))
    return Result(key_of(path), "how the newest week differs from the training weeks", html=(path,))


def release(job: Job, results: Results, say: Say) -> Result:
    """The champion: of this home, or with a broker of all workers."""
    from offline.cutoffs import date_text
    from offline.errors import ReleaseError
    from offline.release import make_champion
    from offline.release import release as publish

    version = _version(results)
    try:
        if job.publishes:
            done = publish(job.settings, job.workload, version)
            said = f"{version} scores from {date_text(done.activate_day)} on"
            return Result(done.bundle_id, said, figures={"version": version, "activate_day": done.activate_day})
        made = make_champion(job.settings, job.workload, version)
        said = f"{version} is the champion of this home; `--release` tells the workers over the broker"
        return Result(made.manifest.bundle_id, said, figures={"version": version})
    except ReleaseError as refusal:
        return Result("", f"refused: {refusal}", is_refused=True)


STAGES: Final = (
    Stage("ingest", ingest, inputs=lambda job: _files(job)),
    Stage(
        "train",
        train,
        ("ingest",),
        lambda job: [job.workload.hash, asdict(job.options)],
        lambda j, r: _is_version(j, r),
    ),
    Stage("evaluate", evaluate, ("ingest", "train")),
    Stage("report", report, ("ingest", "train")),
    Stage("release", release, ("train",), lambda job: [job.publishes], lambda job, result: _is_champion(job, result)),
)


def _known_before(batches: Mapping[str, Any], day: int) -> dict[str, Any]:
    from schemas.durations import DAY_MS

    return {name: batch.take(batch.known_time_ms < day * DAY_MS) for name, batch in batches.items()}


def _files(job: Job) -> Any:
    """The sources' files by name, size and time of change; None when they cannot be told."""
    folder = Path(job.workload.path).parent if job.data_dir is None else job.data_dir
    found = [path for source in job.workload.sources for path in sorted(folder.glob(source.path))]
    if not found:
        return None
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found]
    return [job.workload.text, job.until_day, job.settings.partitions, stats]


def _version(results: Results) -> str:
    return str(results["train"].figures["version"])


def _is_version(job: Job, result: Result) -> bool:
    from offline.registry import Registry

    version = str(result.figures["version"])
    registry = Registry.of(job.settings, job.workload.name)
    return version in registry.versions() and registry.load(version).manifest.bundle_id == result.identity


def _is_champion(job: Job, result: Result) -> bool:
    from offline.registry import Registry

    champion = Registry.of(job.settings, job.workload.name).alias("champion")
    return not result.is_refused and champion == result.figures["version"]


def _skill(found: Mapping[str, Any]) -> str:
    skill = found["skill"]
    return ("" if skill["claimed"] else "no skill claimed: ") + str(skill["text"])


def _is_file(path: str) -> bool:
    return Path(path).is_file()
