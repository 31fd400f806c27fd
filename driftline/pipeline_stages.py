"""The stages from raw files to a released model, as a table: one entry for each, in the order in which they run.

A stage calls what its command calls, and says in one line what came of it. Order, repetition and display are the
business of `driftline.pipeline_run`. Long because each stage of the workflow stands here, one function each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from driftline.pipeline_record import Result, key_of
from offline.training_options import TrainingOptions, until_ms_of
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload

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
    n_trials
        Of the search for better parameters, the defaults included; 0 trains with the defaults.
    with_ladder
        Whether simpler models are compared.
    publishes
        Whether the release goes to the workers over the broker.
    forces
        Whether a version without skill is released, too.
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
    n_trials: int
    with_ladder: bool
    publishes: bool
    forces: bool
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
        Stages whose results go in, if they are wanted.
    inputs
        What else goes in, JSON-able; a stage is done when all of it is as it was. None: it is never done.
    is_there
        Whether what an earlier run gave is still there.
    is_wanted
        Whether a job asks for it.
    """

    name: str
    run: Callable[[Job, Results, Say], Result]
    after: tuple[str, ...] = ()
    inputs: Callable[[Job], Any] = lambda job: []
    is_there: Callable[[Job, Result], bool] = lambda job, result: all(map(_is_file, result.html))
    is_wanted: Callable[[Job], bool] = lambda job: True


def ingest(job: Job, results: Results, say: Say) -> Result:
    """The sources' files into the lake; a workload without sources takes the lake as it is."""
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


def validate(job: Job, results: Results, say: Say) -> Result:
    """The lake's events held against the workload."""
    from offline.validation import Limits, lake_findings, lake_tables
    from offline.validation import validate as validate_events
    from offline.validation_page import validation_page

    say("looking at every event")
    lake = Lake(job.settings.lake_dir)
    found = validate_events(job.workload, lake_tables(lake, job.workload), Limits())
    found = found.with_findings(lake_findings(lake, found))
    page = validation_page(job.workload, found, f"lake {lake.root}").save(_page(job, "validation"))
    worst = "".join(f"; {finding}" for finding in found.wrong[:1])
    return Result(key_of(found.as_json()), found.verdict + worst, html=(str(page),))


def profile(job: Job, results: Results, say: Say) -> Result:
    """Events, churn and features before any model, and what looks like a leak."""
    from offline.history import BatchHistory
    from offline.profile.profile import profile_history
    from offline.profile.profile_page import page_of

    lake, until_ms = Lake(job.settings.lake_dir), until_ms_of(job.options)
    made = profile_history(
        job.workload, BatchHistory(lake, job.workload, until_ms, say=say), lake=lake, known_until_ms=until_ms, say=say
    )
    say("drawing")
    page = page_of(made).save(_page(job, "profile"))
    suspects = ", ".join(suspect.what for suspect in made.suspects)
    said = f"{len(made.portraits)} features; " + (f"leak suspects: {suspects}" if suspects else "no leak suspects")
    return Result(key_of(made.as_json()), said, html=(str(page),))


def ladder(job: Job, results: Results, say: Say) -> Result:
    """A rule and simpler models on the same rows: is each step worth it?"""
    from offline.ladder.ladder_page import ladder_page
    from offline.ladder.progress_bar import ProgressLines
    from offline.ladder.run import run_ladder

    found = run_ladder(
        job.settings, job.workload, job.options, clock=time.perf_counter, progress=ProgressLines(time.monotonic, say),
        with_curve=False,
    )  # fmt: skip
    page = ladder_page(found, f"Model ladder of {job.workload.name}", job.workload.doc).save(_page(job, "ladder"))
    best = found.found["recommended"]
    said = f"recommended: {best['step']}: {best['text']}"
    return Result(key_of(best), said, html=(str(page),), figures=found.found)


def tune(job: Job, results: Results, say: Say) -> Result:
    """Parameters searched on folds in time."""
    from offline.tuning.tuning_page import tuning_page
    from offline.tuning.tuning_run import TuningOptions, prepare

    options = TuningOptions(job.options, n_trials=job.n_trials)
    study = prepare(job.settings, job.workload, options, say)
    done = study.run(time.monotonic, lambda trials: say(f"{len(trials)} of {study.n_trials} trials"), say)
    if done.was_interrupted:
        raise KeyboardInterrupt
    page = tuning_page(done.result, job.workload.name).save(done.study.page_path)
    gain = done.result.gain
    path = str(done.study.result_path) if gain.is_worth_it else None
    said = gain.text(done.result.criterion) + ("" if path else " The defaults are trained.")
    return Result(key_of(done.result.content()), said, html=(str(page),), figures={"params": path})


def train(job: Job, results: Results, say: Say) -> Result:
    """The next version, judged on its held-out cut-offs."""
    from offline.training_jobs import train_recorded
    from offline.tuning.params_file import load_params

    options = job.options
    found_params = results["tune"].figures["params"] if "tune" in results else None
    if found_params is not None:
        options = replace(options, params=load_params(job.settings, job.workload, found_params))
    found = train_recorded(job.settings, job.workload, options, job.created_ms, say)
    found.pop("yardstick", None)
    return Result(str(found["bundle_id"]), f"{found['version']}: {_skill(found)}", figures=found)


def evaluate(job: Job, results: Results, say: Say) -> Result:
    """All that has matured since the version's training."""
    from offline.evaluation.run import Asked, page_path
    from offline.training_jobs import evaluate_recorded

    version = _version(results)
    asked = Asked(html=page_path(job.settings, job.workload, version))
    found = evaluate_recorded(job.settings, job.workload, version, asked, say)
    found.pop("yardstick", None)
    said = f"{found['test'][0]} to {found['test'][-1]}: {_skill(found)}"
    return Result(key_of(found), said, html=(found["html"],), figures=found)


def report(job: Job, results: Results, say: Say) -> Result:
    """How the newest week differs from the days that the version was made on."""
    from offline.report import write_report

    path = str(write_report(job.settings, job.workload, _version(results), say=say))
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
            done = publish(job.settings, job.workload, version, force=job.forces)
            said = f"{version} scores from {date_text(done.activate_day)} on"
            return Result(done.bundle_id, said, figures={"version": version, "activate_day": done.activate_day})
        made = make_champion(job.settings, job.workload, version, force=job.forces)
        said = f"{version} is the champion of this home; `--release` tells the workers over the broker"
        return Result(made.manifest.bundle_id, said, figures={"version": version})
    except ReleaseError as refusal:
        return Result("", str(refusal), is_refused=True)


STAGES: Final = (
    Stage("ingest", ingest, inputs=lambda job: _files(job)),
    Stage("validate", validate, ("ingest",), lambda job: [job.workload.hash]),
    Stage("profile", profile, ("ingest",), lambda job: [job.workload.hash, job.options.until_day]),
    Stage("ladder", ladder, ("ingest",), lambda job: _asked(job), is_wanted=lambda job: job.with_ladder),
    Stage(
        "tune",
        tune,
        ("ingest",),
        lambda job: [*_asked(job), job.n_trials],
        lambda j, r: _has_params(r),
        lambda job: job.n_trials > 0,
    ),
    Stage(
        "train",
        train,
        ("ingest", "tune"),
        lambda job: _asked(job),
        lambda j, r: _is_version(j, r),
    ),
    Stage("evaluate", evaluate, ("ingest", "train")),
    Stage("report", report, ("ingest", "train")),
    Stage(
        "release",
        release,
        ("train",),
        lambda job: [job.publishes, job.forces],
        lambda job, result: _is_champion(job, result),
    ),
)


def _has_params(result: Result) -> bool:
    path = result.figures["params"]
    return path is None or _is_file(str(path))


def _asked(job: Job) -> list[Any]:
    return [job.workload.hash, asdict(job.options)]


def _page(job: Job, name: str) -> Path:
    return job.settings.reports_dir / f"{job.workload.name}-{name}.html"


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
