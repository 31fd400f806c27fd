"""A study on disk: what was judged is there again, what a crash cut off is not, and nobody else writes meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offline.tuning.errors import StudyError
from offline.tuning.study_file import StudyFile, latest_result, study_name
from offline.tuning.trial import Trial

INPUTS = {"method": "random", "seed": 0}
TRIALS = [
    Trial(0, {"max_depth": 3, "half_life": None}, (0.1, 1 / 3), (7, 9), False, 1.25),
    Trial(1, {"max_depth": 5, "half_life": 2.0}, (0.3,), (4,), True, 0.5),
]


def filled(folder: Path) -> StudyFile:
    study = StudyFile(folder, INPUTS)
    with study.owned():
        assert study.load() == []
        study.append(TRIALS[0], np.array([0.1, -2.5], np.float32))
        study.append(TRIALS[1], None)
    return study


def test_trials_and_margins_come_back_bit_for_bit(tmp_path: Path) -> None:
    filled(tmp_path)
    again = StudyFile(tmp_path, dict(reversed(INPUTS.items())))
    assert again.load() == TRIALS
    assert again.margin(TRIALS[0]).tobytes() == np.array([0.1, -2.5], np.float32).tobytes()


@pytest.mark.parametrize("n_cut", [1, 20])
def test_a_line_cut_off_by_a_crash_is_dropped_and_written_again(tmp_path: Path, n_cut: int) -> None:
    study = filled(tmp_path)
    journal = tmp_path / study.name / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-n_cut])
    assert study.load() == TRIALS[:1]
    study.append(TRIALS[1], None)
    assert journal.read_bytes() == whole


def test_other_inputs_are_another_study() -> None:
    assert study_name(INPUTS) != study_name(INPUTS | {"seed": 1})
    assert study_name(INPUTS).startswith("random-")


def test_two_processes_never_run_one_study(tmp_path: Path) -> None:
    first, second = StudyFile(tmp_path, INPUTS), StudyFile(tmp_path, INPUTS)
    with first.owned(), pytest.raises(StudyError, match="another process runs this study"), second.owned():
        pass
    with second.owned():
        assert second.load() == []


def test_a_cleared_study_begins_again(tmp_path: Path) -> None:
    study = filled(tmp_path)
    study.clear()
    assert study.load() == []
    with pytest.raises(StudyError, match="begin again with --fresh"):
        study.margin(TRIALS[0])


@pytest.mark.parametrize("line", ["{}", "no json", TRIALS[1].encode(), '{"number": 0, "values": [], "n_rounds": []}'])
def test_a_journal_that_is_none_is_told(tmp_path: Path, line: str) -> None:
    study = filled(tmp_path)
    (tmp_path / study.name / "journal.jsonl").write_text(f"{{}}\n{line}\n")
    with pytest.raises(StudyError, match=r"line 2 is n.* begin again with --fresh"):
        study.load()


def test_the_latest_result_is_the_one_written_last(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="run `driftline tune` first"):
        latest_result(tmp_path)
    for seed in (0, 1, 0):
        path = StudyFile(tmp_path, INPUTS | {"seed": seed}).save_result({"params": {}})
        assert latest_result(tmp_path) == path
    (tmp_path / "latest").write_text("../../models/champion\n")
    with pytest.raises(StudyError, match="is not the name of a study"):
        latest_result(tmp_path)
