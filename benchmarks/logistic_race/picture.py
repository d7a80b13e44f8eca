"""A picture of the race: CPU seconds to one accuracy, one panel per problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featstore.race.arrival import OURS

# Okabe and Ito: told apart with any colour vision, and in grey.
_OURS, _OTHERS = "#0072B2", "#BBBBBB"


def draw(document: dict[str, Any], paths: list[Path], *, accuracy: float = 1e-4) -> None:
    """Draw the results of a JSON document and save them in the format of each path's suffix."""
    panels: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for result in document["results"]:
        for arrival in result["arrivals"]:
            if arrival["accuracy"] == accuracy and result["threads"] == 1:
                n, d = result["shape"]
                title = f"{n:,} × {d}, {result['n_classes']} classes\nC = {arrival['C']:g}"
                panels.setdefault((title, arrival["C"]), []).append(arrival)
    solvers = list(dict.fromkeys(a["solver"] for panel in panels.values() for a in panel))
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans", "svg.fonttype": "none"}):
        figure = Figure(figsize=(1.9 + 2.0 * len(panels), 1.3 + 0.3 * len(solvers)))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, ((title, _), arrivals) in zip(axes, panels.items(), strict=True):
            _panel(axis, solvers, {arrival["solver"]: arrival for arrival in arrivals})
            axis.set_title(title, fontsize=9, fontweight="bold")
        axes[0].set_yticks(range(len(solvers)), solvers)
        axes[0].invert_yaxis()
        for label in axes[0].get_yticklabels():
            if label.get_text() == OURS:
                label.set(fontweight="bold", color=_OURS)
        figure.supxlabel(
            f"CPU seconds until the objective is within {accuracy:g} of the optimum (relative), "
            "logarithmic; > stopped before",
            fontsize=8.5,
        )
        figure.tight_layout(w_pad=0.8)
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=160, facecolor="white")


def _panel(axis: Axes, solvers: list[str], arrivals: dict[str, dict[str, Any]]) -> None:
    seconds = [arrival["cpu_s"] for arrival in arrivals.values()]
    low, high = min(seconds) / 2, max(seconds) * 12  # room for the numbers on the right
    for position, solver in enumerate(solvers):
        arrival = arrivals.get(solver)
        if arrival is None:
            axis.text(low * 1.2, position, "–", va="center", color="#777777")
            continue
        value = arrival["cpu_s"]
        color = _OURS if solver == OURS else _OTHERS
        hatch = None if arrival["arrived"] else "///"
        axis.barh(
            position, value - low, left=low, height=0.7, color=color, hatch=hatch, edgecolor="white"
        )
        label = f"{'' if arrival['arrived'] else '> '}{value:.3g}"
        weight = "bold" if solver == OURS else "normal"
        axis.text(value * 1.15, position, label, va="center", fontsize=8, fontweight=weight)
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.xaxis.minorticks_off()
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
