"""The canvas: axes in our colours and in the sizes of the style that is worn."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from featstore.plots.style import INK as INK
from featstore.plots.style import worn

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY = "#CC79A7", "#56B4E9"
PALETTE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
"""Okabe & Ito (2008), told apart by people of every colour vision; without black and yellow,
which vanish on a dark and on a light ground."""

MARKERS = "osD^vP"
"""One for each colour, for prints without any."""

_LINES = ("-", "--", ":", "-.")
_PIECES = re.compile(r"(?:[^\s_/.\-]|[.\-](?![A-Za-z]))*[\s_/.\-]?")
_LETTER = 0.064
"""Inches that a letter of nine points takes, on average and generously."""

_ROOM = 4.0
"""Inches on a page up to which names are not broken."""


def ink() -> str:
    """Return the colour of text and axes."""
    return worn().style.ink


def points(size: float) -> float:
    """Return a size of a page, in points, as the style has it: of text, lines and markers."""
    return size * worn().style.scale


def look(number: int) -> dict[str, Any]:
    """Return colour, marker and kind of the line of a number, no two alike below 24."""
    turn = number // len(PALETTE)
    return {
        "color": PALETTE[number % len(PALETTE)],
        "marker": MARKERS[(number + turn) % len(MARKERS)],
        "linestyle": _LINES[turn % len(_LINES)],
    }


def axes(
    ax: Axes | None, *, width: float, height: float, legend: Sequence[str] = (), rows: bool = False
) -> Axes:
    """Dress the axes given, or new ones.

    Parameters
    ----------
    ax
        Axes to draw on; None makes a figure of its own.
    width, height
        Size of a new figure on a page, in inches; a style with a width of its own keeps the
        shape.
    legend
        Labels that stand above, for which there is room beside `height`.
    rows
        Whether the height is that of rows of text, which a narrower figure needs as well.
    """
    if ax is None:
        dress = worn()
        scale = dress.style.scale
        if dress.width is None:
            size = width, height
        elif rows:
            size = dress.width, height * scale
        else:
            # A narrow figure is a little taller than its shape says, for the labels.
            size = dress.width, max(height * dress.width / width, min(height * scale, 2.1 * scale))
        lines = math.ceil(len(legend) / _legend_columns(legend, size[0]))
        figure = Figure(
            figsize=(size[0], size[1] + 0.2 * scale * lines),
            layout="constrained",
            facecolor=dress.style.ground,
        )
        ax = figure.add_subplot()
    ax.set_facecolor("none")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(ink())
    ax.tick_params(colors=ink(), labelsize=points(9))
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_color(ink())
        if worn().width is not None:
            label.set_fontsize(points(9))
    ax.set_axisbelow(True)
    return ax


def row_axes(
    ax: Axes | None,
    names: Sequence[str],
    *,
    width: float,
    height: float,
    row: float,
    legend: Sequence[str] = (),
) -> Axes:
    """Dress axes with a named row for each value.

    Parameters
    ----------
    ax
        Axes to draw on; None makes a figure of its own.
    names
        What `name_rows` will write.
    width, height
        Size on a page without names and rows, in inches.
    row
        Height of one.
    legend
        Labels that stand above.
    """
    shown = _fitted(names, worn().width or math.inf) if ax is None else names
    lines = max((name.count("\n") + 1 for name in shown), default=1)
    tall = height + len(names) * max(row, 0.15 * lines + 0.06 if lines > 1 else 0)
    return axes(ax, width=width + text_width(shown), height=tall, legend=legend, rows=True)


def text_width(names: Iterable[str]) -> float:
    """Inches to leave for the longest of some labels of nine points."""
    return 0.08 * max((len(line) for name in names for line in name.split("\n")), default=0)


def percent(*, symbol: str = "%") -> FuncFormatter:
    """Return a formatter of shares with as many decimals as the ticks need.

    One for each axis: a formatter belongs to the axis it was last given to.
    """
    return FuncFormatter(lambda share, _: f"{100 * share:.4g}{symbol}")


def grid(ax: Axes, axis: str) -> None:
    """Faint lines across the axis that values are read from."""
    chosen = ax.xaxis if axis == "x" else ax.yaxis
    chosen.grid(visible=True, color=ink(), alpha=0.25, linewidth=points(0.6))


def title(ax: Axes, text: str) -> None:
    """State the finding above the axes."""
    size = points(10) if worn().width is None else points(9)
    ax.set_title(_within(text, _beside_names(ax)), fontsize=size, loc="left", color=ink())


def label_x(ax: Axes, text: str) -> None:
    """Name the horizontal axis, in lines as long as it is."""
    ax.set_xlabel(_within(text, _beside_names(ax)))


def legend_above(ax: Axes) -> None:
    """Put the legend above the axes, in as many columns as fit."""
    labels = ax.get_legend_handles_labels()[1]
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        fontsize=points(9),
        frameon=False,
        labelcolor=ink(),
        ncols=_legend_columns(labels, _width(ax)),
        columnspacing=1.2,
    )


def legend_inside(ax: Axes, place: Literal["upper left", "lower right"]) -> None:
    """Put the legend into a corner of the axes."""
    ax.legend(frameon=False, fontsize=points(9), labelcolor=ink(), loc=place)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Label rows 0, 1, ... from the top, without ticks."""
    ax.set_yticks(range(len(names)), _fitted(names, _width(ax)))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(names) - 0.4, -0.6)


def name_columns(ax: Axes, names: Sequence[str]) -> None:
    """Label columns 0, 1, ... aslant, without ticks."""
    shown = _fitted(names, _width(ax))
    ax.set_xticks(range(len(names)), shown, rotation=45, ha="right", rotation_mode="anchor")


def name_sides(ax: Axes, names: Sequence[str], *, width: float) -> None:
    """Label the places 0 and 1 of a page's figure so many inches wide, in lines that never meet."""
    room = 0.42 * min(width, _width(ax))
    ax.set_xticks([0, 1], [_within(name, room) for name in names])
    ax.set_xlim(-0.25, 1.25)


def _width(ax: Axes) -> float:
    """Inches of the figure, or of the part of it that the axes have; a page gives all they need."""
    if worn().width is None:
        return math.inf
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes belong to one
    spec = ax.get_subplotspec()
    share = 1.0
    if spec is not None:
        layout = spec.get_gridspec()
        share = len(range(layout.ncols)[spec.colspan.start : spec.colspan.stop]) / layout.ncols
    return float(figure.get_figwidth() * share)


def _beside_names(ax: Axes) -> float:
    """Inches that are left beside the names of the rows."""
    names = text_width(label.get_text() for label in ax.get_yticklabels()) * worn().style.scale
    return max(_width(ax) - names, 0.4 * _width(ax))


def _legend_columns(labels: Sequence[str], width: float) -> int:
    """Columns of a legend: one on a page, elsewhere what the longest label leaves room for."""
    if worn().width is None or not labels:
        return 1
    each = (max(map(len, labels)) * 0.065 + 0.5) * worn().style.scale
    return max(1, min(len(labels), int(0.9 * width / each)))


def _fitted(names: Sequence[str], width: float) -> list[str]:
    """Break names that would take more than two fifths of a figure."""
    return [_within(name, min(0.42 * width, _ROOM)) for name in names]


def _within(text: str, width: float) -> str:
    """Break lines that are longer than so many inches."""
    if math.isinf(width):
        return text
    letters = max(int(width / (_LETTER * worn().style.scale)), 8)
    return "\n".join(line for part in text.split("\n") for line in _filled(part, letters))


def _filled(text: str, letters: int) -> list[str]:
    """Fill lines, which may end behind a space, a hyphen or an underscore, but in no number."""
    lines, line = [], ""
    for piece in _PIECES.findall(text):
        if line and len((line + piece).rstrip()) > letters:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]
