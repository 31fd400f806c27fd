"""A page escapes what it is told, fetches nothing, and is the same bytes for the same content."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from offline import plots
from offline.page import Page

VOID = {"meta", "link", "br"}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page() -> Page:
    made = Page("Shop <b>", "7 & 8")
    for name in ("One", "Two", "Three"):
        made.heading(name)
    made.text("no skill", "bad")
    made.points(["<script>alert(1)</script>"])
    made.table(("name", "n"), [("a<b", 1234), ("c", None)], "What")
    figure, axes = plots.create_figure()
    axes[0, 0].plot([1, 2, 3])
    made.plot(plots.svg_of(figure), "a line")
    return made


def test_everything_but_plots_is_escaped_and_tags_are_closed() -> None:
    text = page().html()
    assert "<script" not in text
    assert "a&lt;b" in text
    assert "1,234" in text
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert {"nav", "table", "svg", "h2"} <= set(tags.seen)


def test_a_page_fetches_nothing() -> None:
    text = page().html()
    assert "src=" not in text
    assert "@import" not in text
    assert not any(f'{name}="http' in text for name in ("href", "xlink:href"))


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    assert page().save(tmp_path / "a" / "x.html").read_bytes() == page().save(tmp_path / "y.html").read_bytes()
