"""``driftline export``: a version's model in a form that other programs read."""

from __future__ import annotations

from pathlib import Path

import click

from offline.cli import _examples, _print_json, _start, json_option, workload_option
from offline.passing import tell


@click.command(epilog=_examples("driftline export champion --onnx churn.onnx"))
@click.argument("version")
@workload_option
@click.option(
    "--onnx",
    "file",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the ONNX model goes; the parity report goes beside it.",
)
@click.option(
    "--parity",
    "report",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the parity report goes; default onnx_parity.json beside the model.",
)
@json_option
def export(version: str, name: str | None, file: Path, report: Path | None, as_json: bool) -> None:
    """Write a version's model as ONNX, once it is shown to answer as the stream does.

    Input: features, float32 (n, n_features), NaN is missing, categories are codes. Output: margin, log-odds before
    calibration; calibration and thresholds are in the file's metadata. Exit code 2, and no model, when an answer
    differs by more than 1e-5 anywhere.
    """
    from offline.export import export_onnx
    from offline.runs import recorded

    settings, workload = _start(name)
    target = report or file.with_name("onnx_parity.json")
    with recorded(settings, "export", {"version": version, "onnx": str(file)}) as run:
        tell("comparing with the model on every split, missing and unseen values")
        parity = export_onnx(settings, workload, version, file, target)
        run.inputs |= {"version": parity.version, "bundle_id": parity.bundle_id}
        run.add_output(file)
        run.add_output(target)
    if as_json:
        _print_json(parity.as_json())
    else:
        click.echo(f"{file} and {target}: {parity.version}, {parity.line()}")
