"""Figure: a drawing to stand in a page, in the page's own colours."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from featstore.plots import to_svg
from featstore.plots.canvas import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION

_COLOURS = {
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    VERMILLION: "vermillion",
    PURPLE: "purple",
    SKY: "sky",
}
_REFERENCE = re.compile(r'(\bid="|url\(#|href="#)')


@dataclass(frozen=True)
class Figure:
    """A drawing.

    Attributes
    ----------
    svg
        One ``<svg>`` element, its ids its own in the page.
    caption
        What it shows, in words.
    """

    svg: Markup
    caption: str


def figure(ax: Axes, *, key: str, caption: str) -> Figure:
    """Render axes for a page.

    Colours of the palette become CSS variables, which the page lightens on a dark ground.

    Parameters
    ----------
    ax
        What a function of `featstore.plots` returned.
    key
        Unique in the page; begins every id in the drawing.
    caption
        Also what a screen reader says.
    """
    canvas = ax.figure
    if not isinstance(canvas, Canvas):
        raise TypeError(f"the axes of {key} belong to {canvas!r}, not to a figure of their own")
    svg = _REFERENCE.sub(rf"\g<1>{key}-", to_svg(canvas))
    for colour, name in _COLOURS.items():
        svg = re.sub(rf": {colour}\b", f": var(--{name})", svg, flags=re.IGNORECASE)
    # HTML needs no namespaces, and the page no address of any kind.
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href=", "href=")
    width = canvas.get_figwidth()
    opening = f'<svg role="img" aria-label="{escape(caption)}" style="--width: {width:g}in"'
    return Figure(Markup(svg.replace("<svg", opening, 1)), caption)
