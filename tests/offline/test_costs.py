"""What a contact costs and brings, by hand; what cannot be is one line that names its place."""

from pathlib import Path

import numpy as np
import pytest

from offline.costs import Costs, load_costs
from offline.errors import CostError

CAMPAIGN = """
contact_cost = 2
offer_cost = 10.0
accept_rate = 0.25
customer_value = 210
currency = "EUR"
"""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "campaign.toml"
    path.write_text(text)
    return path


def test_a_leaver_brings_the_value_less_the_offer_and_a_stayer_costs_it(tmp_path: Path) -> None:
    costs = load_costs(_file(tmp_path, CAMPAIGN), {"accept_rate": None})
    assert costs is not None
    assert costs.of_leaver == 0.25 * (210 - 10) - 2
    assert costs.of_stayer == -2 - 10
    p = costs.break_even
    assert p * costs.of_leaver + (1 - p) * costs.of_stayer == pytest.approx(0.0)
    np.testing.assert_array_equal(costs.profit(np.array([1.0, 0.0])), [48.0, -12.0])
    assert "25% of leavers" in costs.text()
    assert Costs(**costs.as_json()) == costs


def test_flags_replace_single_numbers_and_may_say_everything(tmp_path: Path) -> None:
    path = _file(tmp_path, CAMPAIGN)
    changed = load_costs(path, {"contact_cost": 3.0, "stayer_accept_rate": 0.0})
    assert changed is not None
    assert (changed.contact_cost, changed.of_stayer, changed.customer_value) == (3.0, -3.0, 210)
    flags = {"contact_cost": 1.0, "offer_cost": 0.0, "accept_rate": 0.5, "customer_value": 100.0}
    assert load_costs(None, flags) == Costs(1.0, 0.0, 0.5, 100.0)
    assert load_costs(None, {"contact_cost": None}) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("contact_cost = 1", "offer_cost is missing; say it there or by --offer-cost"),
        (CAMPAIGN + "discount = 1", "'discount' is unknown"),
        (CAMPAIGN.replace("2\n", '"two"\n', 1), "contact_cost = 'two' is not a number"),
        (CAMPAIGN.replace("0.25", "1.25"), "accept_rate: 1.25 is a share and cannot be above 1"),
        (CAMPAIGN.replace("= 10.0", "= -1"), "offer_cost: -1 is not a number of at least 0"),
        (CAMPAIGN.replace("210", "12"), "no contact can ever pay"),
        ("contact_cost = ", "is not TOML"),
    ],
)
def test_what_cannot_be_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(CostError) as refused:
        load_costs(_file(tmp_path, text), {})
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CostError, match=r"nowhere\.toml: cannot be read: no such file"):
        load_costs(tmp_path / "nowhere.toml", {})
