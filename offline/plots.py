"""Plots as SVG text, the same bytes for the same numbers; what is drawn is said by the caller.

The only module that imports matplotlib.
"""

from __future__ import annotations

import io
from typing import Any, Final

INK: Final = "#1f2933"
COLOURS: Final = ("#2f6f9f", "#c8553d", "#588157", "#8e6c8a", "#b08d2e", "#5f6c7b")
_STYLE: Final[Any] = {
    "svg.hashsalt": "driftline",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa5b1",
    "axes.grid": True,
    "grid.color": "#e6eaef",
    "axes.axisbelow": True,
    "legend.frameon": False,
}


def create_figure(n_rows: int = 1, n_columns: int = 1, width: float = 6.4, height: float = 3.2) -> tuple[Any, Any]:
    """(figure, axes (n_rows, n_columns)) in the house's style; inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        from cycler import cycler

        mpl.rcParams["axes.prop_cycle"] = cycler(color=COLOURS)
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, squeeze=False)
    return figure, axes


def svg_of(figure: Any) -> str:
    """The figure as one ``<svg>`` element."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
