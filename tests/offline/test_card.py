"""The card says what is predicted, why, for whom, how success is measured and where the data lie; as text and page."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from offline.card import card_text
from offline.card_page import card_page
from schemas.workload import builtin_workloads, load_workload
from schemas.workload_parse import parse_workload

INTERVAL = {"value": 0.8, "low": 0.7, "high": 0.9}
ROW = {
    "n": 900, "n_positive": 90, "roc_auc": INTERVAL, "pr_auc": INTERVAL, "log_loss": 0.3, "log_loss_prior": 0.4,
    "brier": 0.1, "brier_prior": 0.2, "lift_10": 3.0, "at_threshold": {"f1": 0.5, "precision": 0.5, "recall": 0.5},
}  # fmt: skip
WINDOW = {
    "n_events": 1000, "first_day": "2024-01-01", "known_until_day": "2024-09-01", "train": ["2024-03-01"],
    "test": ["2024-06-01"], "embargo_days": 30, "last_offsets": {"usage": {"10": 5, "2": 41}},
}  # fmt: skip


def card(workload_name: str = "subscription_churn", claimed: bool = True) -> str:
    evaluation = {
        "rows": {"tick": ROW},
        "skill": {"claimed": claimed, "text": "AUC 0.800"},
        "training": {"n_rows": 5, "n_positive": 1, "recipe": "all", "n_rounds": 9, "notes": ["a <note>"]},
    }
    made_with = {"xgboost": "3.2.0", "git revision": "abc-dirty", "nothing": ""}
    return card_text("v0007", load_workload(workload_name), WINDOW, evaluation, made_with)


@pytest.mark.parametrize(
    "said",
    [
        "# subscription_churn v0007\n\nCustomers of a monthly subscription",
        "Whether a customer's next 30d hold an event of `cancel` (the customer cancelled).",
        "Customers are watched from `subscribe` until `cancel`",
        "## Why, and for whom",
        "30d after the score; a fall of AUC by more than 0.02",
        "| usage | What customers do in the product. | lake/usage | 2: 41, 10: 5 |",
        "| billing | Contract and money. | lake/billing | nothing |",
        "* a <note>",
        "## Who should not use it",
        "* xgboost 3.2.0\n* git revision abc-dirty\n",
    ],
)
def test_the_card_says_it(said: str) -> None:
    assert said in card()


def test_without_skill_the_card_says_that_nobody_should_use_it() -> None:
    assert "no skill was shown" not in card()
    assert "* Nobody, for now: no skill was shown on held-out days." in card(claimed=False)


@pytest.mark.parametrize("name", builtin_workloads())
def test_every_built_in_workload_has_a_card(name: str) -> None:
    assert card(name).startswith(f"# {name} v0007")


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (
            'type = "lapse"\nof = ["paid"]\nfield = "until"\ngrace = "3d"\nhorizon = "30d"',
            "`until` of `paid` (paid for a while) passes and 3d",
        ),
        ('type = "inactivity"\nof = ["paid"]\nhorizon = "60d"', "stays silent for 60d: no event of `paid`"),
    ],
)
def test_each_kind_of_label_is_told_in_words(label: str, said: str) -> None:
    text = f"""
[workload]
name = "small"
doc = "A small one."
[topics.money]
doc = "Money."
kinds = {{ paid = "paid for a while" }}
[topics.money.fields]
until = {{ type = "time", doc = "until when" }}
[live]
idle_after = "90d"
[label]
{label}
[[feature]]
name = "n"
type = "count"
of = ["paid"]
windows = ["30d"]
"""
    workload = parse_workload(text)
    evaluation = {
        "rows": {"tick": ROW},
        "skill": {"claimed": True, "text": ""},
        "training": {"n_rows": 5, "n_positive": 1, "recipe": "all", "n_rounds": 9, "notes": []},
    }
    made = card_text("v0001", workload, WINDOW, evaluation)
    assert said in made
    assert "Customers are watched from the first event until 90d of silence" in made


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[tuple[str, str]] = []
        self.tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tag = tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.tag, data.strip()))


def test_the_page_says_what_the_text_says() -> None:
    page = _Cells()
    page.feed(card_page(card()).html())
    headings = [line.removeprefix("## ") for line in card().splitlines() if line.startswith("## ")]
    assert [text for tag, text in page.texts if tag == "h2"] == headings
    assert ("li", "a <note>") in page.texts, "escaped, so that it comes back whole"
    assert ("td", "2: 41, 10: 5") in page.texts
    assert [text for tag, text in page.texts if tag == "h1"] == ["subscription_churn v0007"]
