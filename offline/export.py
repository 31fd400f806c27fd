"""Export of a version: written once its parity with the stream has been measured, refused otherwise."""

from __future__ import annotations

from pathlib import Path

from offline.errors import ExportError
from offline.extras import check_extra
from offline.onnx_export import onnx_bytes
from offline.onnx_parity import Parity, compare_onnx
from offline.packaging import dump
from offline.registry import Registry
from schemas.bundle import Bundle
from schemas.lake import write_atomic
from schemas.settings import Settings
from schemas.workload import Workload
from schemas.workload_parse import parse_workload
from stream_app.model import BoosterModel
from stream_app.plan import Plan


def export_onnx(settings: Settings, workload: Workload, version: str, file: Path, report: Path) -> Parity:
    """Write a version's model as ONNX and its parity report; the report is written in any case.

    Raises
    ------
    MissingExtraError
        When onnx or onnxruntime is not installed.
    ExportError
        When the file would not answer as the stream does.
    """
    check_extra("onnx", "an export to ONNX")
    bundle = Registry.of(settings, workload.name).load(version)
    data, parity = onnx_with_parity(bundle)
    write_atomic(report, dump(parity.as_json()))
    if not parity.is_equal:
        raise ExportError(bundle.manifest.version, f"would answer otherwise than the stream: {parity.line()}")
    write_atomic(file, data)
    return parity


def onnx_with_parity(bundle: Bundle) -> tuple[bytes, Parity]:
    """A bundle's model as ONNX, and how far it lies from what the stream would answer."""
    plan = Plan.from_workload(parse_workload(bundle.files["workload.toml"].decode(), bundle.path / "workload.toml"))
    model = BoosterModel(bundle.manifest.version, bundle.files, plan)
    data = onnx_bytes(bundle, model, plan)
    return data, compare_onnx(data, bundle, model, plan)
