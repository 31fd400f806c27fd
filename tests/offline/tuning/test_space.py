"""The search space agrees with the models it tunes, and every value it gives lies inside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.errors import OfflineError
from offline.models import PARAMS
from offline.training_params import TrainingParams
from offline.tuning.space import PARAMETERS, SPACE, Parameter, chosen_space, defaults, training_params
from stream_app.trees import MOST_DEPTH


def test_the_defaults_are_those_of_the_model() -> None:
    booster = training_params({}, 30).booster
    assert {name: value for name, value in booster.items() if name in PARAMS} == {
        name: PARAMS[name] for name in PARAMS if name in PARAMETERS
    }
    # what PARAMS leaves out stands at XGBoost's own default
    assert {name: value for name, value in booster.items() if name not in PARAMS} == {"gamma": 0.0, "reg_alpha": 0.0}
    assert training_params({}, 30).half_life_days is None
    assert training_params({}, 30).event_weight == TrainingParams().event_weight == 1.0


def test_no_tree_is_deeper_than_the_stream_walks() -> None:
    assert PARAMETERS["max_depth"].high == MOST_DEPTH


@pytest.mark.parametrize("parameter", SPACE, ids=lambda parameter: parameter.name)
@given(share=st.floats(0.0, 1.0, exclude_max=True))
def test_every_draw_and_every_grid_point_and_the_default_lie_inside(parameter: Parameter, share: float) -> None:
    for value in (parameter.at(share), *parameter.points(), parameter.default):
        assert parameter.read(value) == value
    points = parameter.points()
    assert len(set(points)) == len(points) >= 3


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_depth", 9), ("max_depth", 3.5), ("max_depth", True), ("subsample", 0.0), ("subsample", "0.8"),
     ("learning_rate", float("nan")), ("half_life", 3.0), ("half_life", True), ("max_bin", 100), ("gamma", None)],
)  # fmt: skip
def test_what_lies_outside_is_refused_with_its_bounds(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{name} = .* is outside the search space: "):
        PARAMETERS[name].read(value)


def test_a_whole_number_is_read_as_one() -> None:
    read = PARAMETERS["max_depth"].read(4.0)
    assert (read, type(read)) == (4, int)


def test_a_half_life_counts_in_label_horizons() -> None:
    assert training_params({"half_life": 2.0}, 45).half_life_days == 90.0


def test_a_part_of_the_space_keeps_the_order_of_its_names() -> None:
    assert [p.name for p in chosen_space(["max_bin", "gamma", "max_bin"])] == ["max_bin", "gamma"]
    assert chosen_space([]) == SPACE
    assert "event_weight" not in defaults(chosen_space([], has_event_rows=False))
    with pytest.raises(OfflineError, match="'depth' is no parameter; there are learning_rate, max_depth"):
        chosen_space(["depth"])
