"""The canvas: axes with our colours, legible on any ground."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY = "#CC79A7", "#56B4E9"
PALETTE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
"""Okabe & Ito (2008), told apart by people of every colour vision; without black and yellow,
which vanish on a dark and on a light ground."""

MARKERS = "osD^vP"
"""One for each colour, for prints without any."""

INK = "#767676"
"""Text and lines: the gray with equal contrast to white and to black (4.5 : 1)."""


def axes(ax: Axes | None, *, width: float, height: float) -> Axes:
    """Dress the axes given, or new ones.

    Parameters
    ----------
    ax
        Axes to draw on; None makes a figure of its own.
    width, height
        Size of a new figure in inches.
    """
    if ax is None:
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
        ax = figure.add_subplot()
    ax.set_facecolor("none")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(INK)
    ax.tick_params(colors=INK, labelsize=9)
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)
    ax.set_axisbelow(True)
    return ax


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
    if axis == "x":
        ax.xaxis.grid(visible=True, color=INK, alpha=0.25, linewidth=0.6)
    else:
        ax.yaxis.grid(visible=True, color=INK, alpha=0.25, linewidth=0.6)


def title(ax: Axes, text: str) -> None:
    """State the finding above the axes."""
    ax.set_title(text, fontsize=10, loc="left", color=INK)


def name_rows(ax: Axes, names: list[str]) -> None:
    """Label rows 0, 1, ... from the top, without ticks."""
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(names) - 0.4, -0.6)
