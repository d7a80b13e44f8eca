"""SVG text of a figure, for embedding."""

from __future__ import annotations

import io
import warnings

import matplotlib
from matplotlib.figure import Figure

from featstore.plots.style import INK


def to_svg(figure: Figure) -> str:
    """Render a figure as one ``<svg>`` element.

    Equal figures give equal text: no date, no version, ids from content.  The ground
    of a page's figure is transparent, and what is drawn in our gray takes the colour of the text
    around it (``currentColor``), so one figure serves light and dark pages.

    Parameters
    ----------
    figure
        Of the axes that a plot returned.

    Examples
    --------
    >>> to_svg(Figure(figsize=(1, 1)))[:4]
    '<svg'
    """
    text = io.StringIO()
    unnamed = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with (
        matplotlib.rc_context({"svg.hashsalt": "featstore", "svg.fonttype": "none"}),
        warnings.catch_warnings(),
    ):
        # Text stays text: letters come from the fonts of whoever looks at it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(text, format="svg", metadata=unnamed, facecolor=figure.get_facecolor())
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace(INK, "currentColor")
