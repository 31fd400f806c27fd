"""``driftline score``: every customer of the lake, as of a day, into a Parquet file and a database."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offline.passing import tell
from schemas.settings import Settings
from schemas.workload import load_workload

if TYPE_CHECKING:
    from offline.scoring.database import Database
    from offline.scoring.run import ScoringDone
    from offline.scoring.score_column import OwnTable

EPILOG = """\b
Examples:
  driftline score --as-of 2026-03-01 --out scores.parquet
  driftline score v0003 --as-of 2026-03-01 --database sqlite:///crm.db --reasons 3
  driftline score --as-of 2026-03-01 --database-env CRM_URL --table customers --key id --column churn_risk
"""


@click.command(epilog=EPILOG)
@click.argument("version", default="champion")
@click.option("--as-of", required=True, metavar="DAY", help="Score with what was known before this day's 00:00 UTC.")
@click.option("--workload", "name", metavar="NAME|PATH", help="Default DRIFTLINE_WORKLOAD.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Parquet file; default in the home folder."
)
@click.option("--database", "url", metavar="URL", help="Database to write to: sqlite:///FILE or postgresql://...")
@click.option("--database-env", metavar="NAME", help="Environment variable with that URL: it hides the password.")
@click.option("--table", metavar="NAME", help="Table in the database.  [default: churn_scores]")
@click.option("--key", metavar="COLUMN", help="TABLE is your own: the column of the customer's id.")
@click.option("--column", metavar="COLUMN", help="TABLE is your own: the column of the score.")
@click.option("--update-only", is_flag=True, help="Add no customers to a table of your own.")
@click.option("--reasons", type=click.IntRange(0, 20), default=0, show_default=True, help="Reasons of each customer.")
@click.option("--engine", type=click.Choice(["local", "dask"]), default="local", show_default=True)
@click.option("--scheduler", metavar="ADDRESS", help="With --engine dask: of a cluster; default is this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def score(
    version: str,
    as_of: str,
    name: str | None,
    out: Path | None,
    url: str | None,
    database_env: str | None,
    table: str | None,
    key: str | None,
    column: str | None,
    update_only: bool,
    reasons: int,
    engine: str,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Score every live, eligible customer with VERSION, as the stream does at the tick of that day.

    In the database the newest event time wins: a run done twice, or an older one, changes nothing. A table of your own
    follows the table churn_scores.
    """
    from offline.cutoffs import day_of
    from offline.runs import recorded
    from offline.scoring.run import ScoringOptions
    from offline.scoring.run import score as run
    from offline.scoring.score_table import TABLE

    database = _database(url, database_env)
    own = _own_table(table, key, column, update_only, database)
    if scheduler and engine != "dask":
        raise click.UsageError("--scheduler needs --engine dask")
    options = ScoringOptions(
        day_of(as_of), out, database, TABLE if own is not None or table is None else table, own, reasons
    )
    settings = Settings.from_env()
    workload = load_workload(name or settings.workload)
    said = {
        "version": version,
        "as_of": as_of,
        "engine": engine,
        "database": None if database is None else database.name,
    }
    with recorded(settings, "score", said) as record:
        if engine == "dask":
            from offline.dask_engine import create_cluster, scored_tables

            with create_cluster(scheduler) as cluster:
                tables_of = partial(scored_tables, cluster, settings.partitions)
                done = run(settings, workload, version, options, tell, tables_of)
        else:
            done = run(settings, workload, version, options, tell)
        record.inputs |= {"version": done.shared.version, "bundle_id": done.bundle_id}
        record.results |= {"n_customers": done.n_customers, "n_high": done.n_high}
        if done.path is not None:
            record.add_output(done.path)
    click.echo(json.dumps(done.as_json(), indent=1, sort_keys=True) if as_json else "\n".join(_lines(done)))


def _database(url: str | None, variable: str | None) -> Database | None:
    from offline.scoring.database import Database

    if url is not None and variable is not None:
        raise click.UsageError("give --database or --database-env, not both")
    if variable is not None:
        found = os.environ.get(variable)
        if not found:
            raise click.UsageError(f"the environment has no variable {variable} (--database-env)")
        return Database(found, variable)
    return None if url is None else Database(url, "--database")


def _own_table(
    table: str | None, key: str | None, column: str | None, update_only: bool, database: Database | None
) -> OwnTable | None:
    from offline.scoring.score_column import OwnTable

    if database is None and (table or key or column or update_only):
        raise click.UsageError("--table, --key, --column and --update-only need a database")
    if key is None and column is None:
        if update_only:
            raise click.UsageError("--update-only speaks of a table of your own: give --table, --key and --column")
        return None
    if table is None:
        raise click.UsageError("--key and --column speak of a table of your own: name it with --table")
    return OwnTable(table, key or "customer_id", column or "churn_risk", adds=not update_only)


def _lines(done: ScoringDone) -> list[str]:
    from offline.cutoffs import date_text

    shared, counts = done.shared, done.accounting
    share = done.n_high / max(1, done.n_customers)
    high = f"{done.n_high} ({share:.1%}) at or above the threshold {shared.threshold:.3f}"
    what = f"{shared.version} (bundle {done.bundle_id[:16]}) as of {date_text(shared.as_of_day)}"
    lines = [f"{what}: {done.n_customers} customers, {high}"]
    if done.path is not None:
        lines.append(str(done.path))
    if counts is not None:
        lines.append(
            f"{done.database}, table {done.table}: {counts.inserted} inserted, {counts.updated} updated, "
            f"{counts.unchanged} unchanged, {counts.kept} kept because newer"
        )
        if counts.column is not None:
            own = counts.column
            lines.append(f"your table: {own.changed} changed, {own.added} added, {own.missing} not in it")
    return lines
