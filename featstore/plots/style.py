"""Styles: the sizes, fonts and colours that papers and slides ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
from matplotlib import font_manager

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

INK = "#767676"
"""Text and lines of a page: the gray with equal contrast to white and to black (4.5 : 1)."""

_TIMES = ("Times New Roman", "Times", "Nimbus Roman", "TeX Gyre Termes", "STIXGeneral")
_HELVETICA = ("Helvetica", "Arial", "Nimbus Sans", "TeX Gyre Heros", "Liberation Sans")

StyleName = Literal["page", "neurips", "cvpr", "nature", "talk"]


@dataclass(frozen=True)
class Style:
    """How figures of one venue look.

    Attributes
    ----------
    text
        Size of labels in points; lines and markers grow with it.
    column, full
        Widths in inches, of a column and of the text; None: as wide as the content asks for.
    families
        Fonts, the first one that is installed is taken; none: matplotlib's.
    mathtext
        Font of formulas.
    ink
        Colour of text and axes.
    ground
        Behind everything.
    """

    text: float
    column: float | None
    full: float | None
    families: tuple[str, ...] = ()
    mathtext: str = "dejavusans"
    ink: str = "#262626"
    ground: str = "white"

    @property
    def scale(self) -> float:
        """What sizes made for a page are multiplied by."""
        return self.text / 9


STYLES: dict[str, Style] = {
    "page": Style(9, None, None, ink=INK, ground="none"),
    "neurips": Style(9, 5.5, 5.5, _TIMES, "stix"),
    "cvpr": Style(8, 3.25, 6.875, _TIMES, "stix"),
    "nature": Style(7, 3.5, 7.2, _HELVETICA),
    "talk": Style(18, 6.0, 12.0, _HELVETICA),
}
"""NeurIPS: one column of 5.5 inches.  CVPR (and ICML): columns of 3.25 inches in a text of 6.875.
Nature: 89 and 183 mm, sans-serif of at most 7 points.  Talk: half of, and nearly all of, a slide of
13.3 x 7.5 inches."""


@dataclass(frozen=True)
class Dress:
    """A style with the width that was chosen.

    Attributes
    ----------
    style
        What it is.
    width
        Of new figures, in inches; None: as wide as the content asks for.
    """

    style: Style
    width: float | None


_PAGE = Dress(STYLES["page"], None)
_WORN: ContextVar[Dress] = ContextVar("featstore.plots.style", default=_PAGE)


def worn() -> Dress:
    """Return what figures are dressed in now."""
    return _WORN.get()


@contextmanager
def style(
    name: StyleName = "page", *, width: Literal["column", "full"] | float = "column"
) -> Iterator[Style]:
    """Dress figures that are drawn within for a venue.

    New figures have its width, and as much height as they need; text, lines and markers have its
    sizes.  matplotlib's own settings follow, so that figures made by ``pyplot.subplots`` for
    several panels fit as well.  Text in PDF and PostScript is TrueType (type 42), in SVG text.

    Parameters
    ----------
    name
        ``"neurips"``, ``"cvpr"``, ``"nature"`` or ``"talk"``; ``"page"`` is that of web pages:
        transparent, in a gray for light and dark grounds.
    width
        Of a column, of the full text, or in inches.

    Raises
    ------
    InvalidInputError
        If there is no such style, or the width is not positive.

    Examples
    --------
    >>> import pandas as pd
    >>> from featstore import plots
    >>> frame = pd.DataFrame({"name": ["resnet50", "dinov2"], "value": [0.71, 0.84],
    ...                       "low": [0.69, 0.82], "high": [0.73, 0.86]})
    >>> with style("cvpr"):
    ...     ax = plots.leaderboard(frame)
    >>> float(ax.figure.get_figwidth())
    3.25
    """
    if name not in STYLES:
        raise InvalidInputError(f"there is no style {name!r}. {did_you_mean(name, STYLES)}")
    chosen = STYLES[name]
    if isinstance(width, str):
        if width not in ("column", "full"):
            raise InvalidInputError(
                f'a width is "column", "full" or a number of inches, got {width!r}'
            )
        inches = chosen.column if width == "column" else chosen.full
    else:
        inches = float(width)
        if not inches > 0:
            raise InvalidInputError(f"a figure is wider than 0 inches, got {width}")
    token = _WORN.set(Dress(chosen, inches))
    try:
        with matplotlib.rc_context(settings(chosen, inches)):
            yield chosen
    finally:
        _WORN.reset(token)


#: Text stays text, of fonts that every printer takes.
TEXT_AS_TEXT: dict[Any, Any] = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none"}


def settings(chosen: Style, width: float | None) -> dict[Any, Any]:
    """Return matplotlib's settings for a style; none for that of pages."""
    if width is None:
        return TEXT_AS_TEXT
    scale, small = chosen.scale, chosen.text
    return TEXT_AS_TEXT | {
        "font.family": _installed(chosen.families),
        "font.size": small,
        "mathtext.fontset": chosen.mathtext,
        "axes.labelsize": small,
        "axes.titlesize": small,
        "xtick.labelsize": small,
        "ytick.labelsize": small,
        "legend.fontsize": small,
        "axes.linewidth": 0.8 * scale,
        "lines.linewidth": 1.5 * scale,
        "lines.markersize": 5 * scale,
        "patch.linewidth": 0.8 * scale,
        "xtick.major.width": 0.8 * scale,
        "ytick.major.width": 0.8 * scale,
        "xtick.major.size": 3.5 * scale,
        "ytick.major.size": 3.5 * scale,
        "xtick.minor.width": 0.6 * scale,
        "xtick.minor.size": 2 * scale,
        "figure.figsize": (width, 0.62 * width),
        "figure.constrained_layout.use": True,
        "figure.facecolor": chosen.ground,
        "savefig.facecolor": "auto",
        "savefig.dpi": 300,
    }


def _installed(families: tuple[str, ...]) -> list[str]:
    """Return the first family that is there, and matplotlib's own for letters that it lacks."""
    there = set(font_manager.get_font_names())
    found = [family for family in families if family in there][:1]
    return [*found, "DejaVu Sans"]
