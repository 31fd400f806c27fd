"""Each gate opens for what it asks for and closes on the fault it is there for."""

from __future__ import annotations

import pytest

from offline.gates import better_gate, calibration_gate, latency_gate, onnx_gate, slices, slices_gate
from tests.offline.judged_rows import held_out_of


def test_a_model_that_knows_more_is_better_and_one_that_knows_the_same_is_not() -> None:
    assert better_gate(held_out_of(), "v0001").is_open
    gate = better_gate(held_out_of(second_knows=1.0), "v0001")
    assert gate.keeps_out
    assert gate.line().startswith("FAIL  better")
    assert "not better than v0001 beyond doubt" in gate.figure


@pytest.mark.parametrize(("inflated", "is_open"), [(1.0, True), (1.1, True), (1.5, False), (0.6, False)])
def test_probabilities_that_are_ruled_out_close_the_gate(inflated: float, is_open: bool) -> None:
    gate = calibration_gate(held_out_of(inflated=inflated))
    assert gate.is_open == is_open
    expected = 1 / inflated
    assert float(gate.figure.split(": ")[1].split(" ")[0]) == pytest.approx(expected, rel=0.05)


def test_a_slice_that_is_turned_upside_down_closes_the_gate_and_is_named() -> None:
    fair, unfair = held_out_of(n=4_500), held_out_of(n=4_500, bad_slice=1.0, second_knows=0.0)
    assert slices_gate(fair, "v0001").is_open
    assert better_gate(unfair, "v0001").is_open, "on the whole it is better"
    gate = slices_gate(unfair, "v0001")
    assert gate.keeps_out
    column = next(c for c in unfair.testing.plan.columns if c.is_categorical)
    assert f"weakest against v0001 is {column.name} {column.categories[1]}" in gate.figure


def test_slices_of_tenure_and_of_each_category_part_the_rows() -> None:
    held_out = held_out_of(n=900)
    tenure = [rows for name, rows in slices(held_out) if name.startswith("tenure")]
    assert len(tenure) == 3
    assert sum(rows.astype(int) for rows in tenure).tolist() == [1] * 900
    assert all(abs(rows.mean() - 1 / 3) < 0.01 for rows in tenure)


class _Slow:
    def __init__(self, us: float, clock: list[float]) -> None:
        self.us, self.clock = us, clock

    def score(self, x: object, kinds: list[int]) -> None:
        self.clock[0] += self.us * 1e-6 * len(kinds)


@pytest.mark.parametrize(("us", "is_open"), [(9.9, True), (10.1, False)])
def test_the_budget_is_microseconds_for_a_row(us: float, is_open: bool) -> None:
    clock = [0.0]
    gate = latency_gate(held_out_of(n=300), _Slow(us, clock), 10.0, lambda: clock[0])  # type: ignore[arg-type]
    assert gate.is_open == is_open
    assert gate.figure.startswith(f"{us:.2f} us a row")


def test_without_onnx_the_gate_is_skipped_and_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offline.gates.has_extra", lambda extra: False)
    gate = onnx_gate(None)  # type: ignore[arg-type]
    assert gate.is_open is None
    assert not gate.keeps_out
    assert gate.line().startswith("skip  onnx")
