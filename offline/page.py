"""A self-contained HTML page of headings, text, tables and plots: no script, nothing fetched, readable in print.

How a plot is drawn is the business of `offline.plots`; what a page says is that of whoever builds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from schemas.lake import write_atomic

Cell = str | int | float | None
Tone = Literal["plain", "good", "bad"]

_STYLE: Final = """
:root { color-scheme: light; --ink: #1f2933; --soft: #5f6c7b; --line: #d9dee5; --good: #1b6e4b; --bad: #a33a2a; }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--ink); max-width: 62rem;
  margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; } h3 { font-size: 1rem; }
.lead, figcaption, caption { color: var(--soft); } caption { text-align: left; padding-bottom: .3rem; }
nav { margin: 1rem 0; } nav a { margin-right: 1rem; color: inherit; }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; font-size: .9rem; display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: .8rem 0 1.4rem; overflow-x: auto; } figure svg { max-width: 100%; height: auto; }
.good { color: var(--good); } .bad { color: var(--bad); } p.good, p.bad { font-weight: 600; }
"""

_TEMPLATE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ page.title }}</title><style>{{ style }}</style></head><body>
<h1>{{ page.title }}</h1><p class="lead">{{ page.lead }}</p>
{% if page.headings|length > 2 %}<nav>{% for i, text in page.headings %}<a href="#h{{ i }}">{{ text }}</a>{% endfor %}\
</nav>{% endif %}
{% for block in page.blocks %}
{% if block.kind == "heading" %}<h2 id="h{{ loop.index0 }}">{{ block.text }}</h2>
{% elif block.kind == "text" %}<p class="{{ block.tone }}">{{ block.text }}</p>
{% elif block.kind == "list" %}<ul>{% for row in block.rows %}<li>{{ row[0] }}</li>{% endfor %}</ul>
{% elif block.kind == "plot" %}<figure>{{ block.svg|safe }}<figcaption>{{ block.text }}</figcaption></figure>
{% else %}<table>{% if block.text %}<caption>{{ block.text }}</caption>{% endif %}
<thead><tr>{% for name in block.columns %}<th{% if block.is_number[loop.index0] %} class="number"{% endif %}>{{ name }}\
</th>{% endfor %}</tr></thead><tbody>
{% for row in block.rows %}<tr>{% for cell in row %}<td{% if block.is_number[loop.index0] %} class="number"{% endif %}>\
{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table>{% endif %}
{% endfor %}
</body></html>
"""


@dataclass(frozen=True)
class _Block:
    kind: Literal["heading", "text", "list", "table", "plot"]
    text: str = ""
    tone: Tone = "plain"
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    is_number: tuple[bool, ...] = ()
    svg: str = ""


@dataclass(eq=False)
class Page:
    """A page, built from top to bottom.

    Parameters
    ----------
    title, lead
        Heading, and the line below it.
    """

    title: str
    lead: str = ""
    blocks: list[_Block] = field(default_factory=list)

    @property
    def headings(self) -> list[tuple[int, str]]:
        """(place, text) of every heading."""
        return [(i, block.text) for i, block in enumerate(self.blocks) if block.kind == "heading"]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.blocks.append(_Block("heading", text))

    def text(self, text: str, tone: Tone = "plain") -> None:
        """Add a paragraph; a tone other than plain makes it a verdict."""
        self.blocks.append(_Block("text", text, tone))

    def points(self, lines: Sequence[str]) -> None:
        """Add a list."""
        self.blocks.append(_Block("list", rows=tuple((line,) for line in lines)))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str = "") -> None:
        """Add a table; columns of numbers are set to the right, floats shortened, None shown as a dash."""
        is_number = tuple(
            any(isinstance(row[i], int | float) for row in rows)
            and all(row[i] is None or isinstance(row[i], int | float) for row in rows)
            for i in range(len(columns))
        )
        cells = tuple(tuple(cell_text(cell) for cell in row) for row in rows)
        self.blocks.append(_Block("table", caption, columns=tuple(columns), rows=cells, is_number=is_number))

    def plot(self, svg: str, caption: str = "") -> None:
        """Add a plot that `offline.plots` has drawn."""
        self.blocks.append(_Block("plot", caption, svg=svg))

    def html(self) -> str:
        """The page; everything but plots is escaped."""
        from jinja2 import Environment

        environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        return environment.from_string(_TEMPLATE).render(page=self, style=_STYLE)

    def save(self, path: Path) -> Path:
        """Write the page whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, self.html().encode())
        return path


def cell_text(value: Any) -> str:
    """How a cell reads.

    Examples
    --------
    >>> [cell_text(value) for value in (None, 12345, 0.12345, 1234.5, "x")]
    ['-', '12,345', '0.123', '1,234.5', 'x']
    """
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3f}"
