"""The model card as a page: the Markdown that `offline.card` writes, block by block.

Not a Markdown reader: headings, lists, tables and paragraphs, as they stand in a card.
"""

from __future__ import annotations

from itertools import groupby

from offline.page import Page


def card_page(markdown: str) -> Page:
    """The page of a card."""
    title, *lines = markdown.splitlines()
    page = Page(title.removeprefix("# "), "Model card")
    for kind, group in groupby(lines, _kind):
        texts = [_plain(line) for line in group]
        if kind == "heading":
            for text in texts:
                page.heading(text.removeprefix("## "))
        elif kind == "point":
            page.points([text.removeprefix("* ") for text in texts])
        elif kind == "table":
            columns, _, *rows = ([cell.strip() for cell in text.strip("|").split("|")] for text in texts)
            page.table(columns, rows)
        elif kind == "text":
            page.text(" ".join(texts))
    return page


def _kind(line: str) -> str:
    starts = {"## ": "heading", "* ": "point", "|": "table"}
    return next((kind for start, kind in starts.items() if line.startswith(start)), "text" if line.strip() else "blank")


def _plain(line: str) -> str:
    return line.replace("`", "")
