"""The ``driftline`` command: which commands there are, where each lives, and how a failure is told.

A command's module is imported when that command runs, so ``driftline --help`` stays instant. Failures become one line
on stderr and an exit code; only ``driftline --debug`` shows a traceback.
"""

from __future__ import annotations

import errno
import importlib
from typing import Any, Final, NamedTuple

import click

from driftline import __version__
from driftline.errors import CommandError
from schemas.errors import DriftlineError

EXIT_INTERRUPTED: Final = 130


class Entry(NamedTuple):
    """Where a command lives and the line that the list of commands shows for it."""

    target: str
    summary: str


COMMANDS: Final[dict[str, Entry]] = {
    "demo": Entry("driftline.demo:demo", "The whole loop on an embedded broker, on this machine."),
    "broker": Entry("driftline.broker:broker", "Run a broker in the foreground: embedded, or Apache Kafka."),
    "workload": Entry("schemas.cli:workload", "Check and show workload files."),
    "topics": Entry("schemas.cli:topics", "Create and list the topics of a workload."),
    "simulate": Entry("producers.cli:simulate", "Simulate customers into topics or files."),
    "replay": Entry("producers.cli:replay", "Send files of events to the topics."),
    "worker": Entry("stream_app.cli:worker", "Stream worker: features, scores, alerts."),
    "watch": Entry("stream_app.cli:watch", "Watch data, scores and labels; signal retraining."),
    "alerts": Entry("driftline.alerts:alerts", "Read the churn alerts."),
    "ingest": Entry("driftline.ingest_cli:ingest", "Bring the event topics, or files, into the lake."),
    "validate": Entry("driftline.validate_cli:validate", "Check the lake's events, or files, against the workload."),
    "lake": Entry("offline.lake_cli:lake", "Look at the lake and make its files fewer."),
    "profile": Entry("offline.profile_cli:profile", "Explore the history: features, churn, leak suspects (HTML)."),
    "features": Entry("offline.features_cli:features", "Suggest features that earn their place; find idle ones."),
    "tune": Entry("offline.tune_cli:tune", "Search for better parameters on folds in time."),
    "train": Entry("offline.cli:train", "Train a model on the lake."),
    "ladder": Entry("offline.ladder_cli:ladder", "Compare models, from a rule up to boosted trees."),
    "value": Entry("offline.value_cli:value", "Predict an amount within the horizon, and judge it."),
    "evaluate": Entry("offline.cli:evaluate", "Evaluate a model on events after its training data."),
    "compare": Entry("offline.compare_cli:compare", "Compare two versions on the same held-out rows."),
    "promote": Entry("offline.promote_cli:promote", "Release a version if it passes every gate."),
    "release": Entry("offline.cli:release", "Release a model to the stream workers."),
    "rollback": Entry("offline.cli:rollback", "Release the model before the current one."),
    "score": Entry("offline.score_cli:score", "Score every customer of the lake, to Parquet or a database."),
    "history": Entry("offline.history_cli:history", "Versions, their releases and what they were made of."),
    "runs": Entry("offline.runs_cli:runs", "Jobs that were run, with what went in and came out."),
    "export": Entry("offline.export_cli:export", "Write a model as ONNX, its parity checked."),
    "mlflow": Entry("offline.mlflow_cli:mlflow", "Hand a version to MLflow."),
    "keys": Entry("offline.keys_cli:keys", "Create the key that signs models."),
    "retrain-worker": Entry("offline.cli:retrain_worker", "Answer retrain signals with new models."),
    "pipeline": Entry("driftline.pipeline:pipeline", "From raw files to a released model, in one command."),
    "report": Entry("offline.cli:report", "Render drift and model reports."),
    "audit": Entry("offline.cli:audit", "Compute past scores again from the log."),
    "state": Entry("offline.cli:state", "Build a state that workers go on from."),
    "verify": Entry("offline.verifier.cli:verify", "Recompute what the workers did, and compare."),
}


class FrontDoor(click.Group):
    """A group that imports a command when it is asked for, and turns failures into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else load(entry.target)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(err=True)
            raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params.get("debug") or _is_closed_pipe(error):
                raise
            raise told(error) from error


def load(target: str) -> click.Command:
    """The command behind ``module:attribute``."""
    module, _, attribute = target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"{target} is a {type(command).__name__}, not a command")
    return command


def told(error: Exception) -> CommandError:
    """The one line and the exit code for a failure.

    Examples
    --------
    >>> told(OSError(28, "No space left on device", "lake/usage")).message
    'no space left on the disk while writing lake/usage; free some and run the command again'
    """
    if isinstance(error, DriftlineError):
        return CommandError(str(error), error.exit_code)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        place = f" while writing {error.filename}" if error.filename else ""
        return CommandError(f"no space left on the disk{place}; free some and run the command again", 1)
    if isinstance(error, OSError) and error.filename is not None:
        return CommandError(f"{error.filename}: {(error.strerror or type(error).__name__).lower()}", 1)
    return CommandError(
        f"unexpected {type(error).__name__}: {error} (this is a bug; `driftline --debug ...` shows where)", 70
    )


def _is_closed_pipe(error: Exception) -> bool:
    """Whether the reader of our output went away (``driftline alerts | head``), which click ends quietly."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE


@click.group(cls=FrontDoor, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show a traceback when a command fails.")
@click.version_option(__version__, prog_name="driftline")
def cli(debug: bool) -> None:
    """Who is about to leave? Streaming churn prediction on Kafka."""


def main() -> None:
    """Run the command line of this process."""
    cli(prog_name="driftline")
