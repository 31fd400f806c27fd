"""A report is rendered in a process of its own, whatever columns are empty."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from offline.report import write_report
from offline.training_options import TrainingOptions
from offline.training_run import train_version
from schemas.lake import Lake
from schemas.settings import Settings
from schemas.workload import Workload


@pytest.mark.slow
def test_a_report_names_the_features_and_leaves_out_what_drifts_by_construction(
    workload: Workload, company: Any, fill: Any, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path)
    fill(Lake(settings.lake_dir), workload, company(workload))
    train_version(settings, workload, TrainingOptions())
    path = write_report(settings, workload, "latest")
    page = path.read_text(encoding="utf-8")
    assert path.parent == settings.reports_dir
    assert "sessions_7d" in page
    assert "Jensen-Shannon" in page
    assert "day_of_month" not in page
    assert "csat" not in page  # never answered in this company


def test_evidently_is_not_imported_by_the_product() -> None:
    code = (
        "import sys, offline.report, offline.retrain_worker, offline.cli, offline.training_run;"
        "assert not {'evidently', 'xgboost', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
