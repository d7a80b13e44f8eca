"""A picture of the ratios, one panel per operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from store_formats.contestants import LIMIT, OURS

#: (temperature, operation) -> title.
_PANELS = {
    ("warm", "load"): "load all",
    ("warm", "scan"): "scan",
    ("warm", "gather"): "gather 10 %",
    ("warm", "batches"): "shuffled batches",
    ("cold", "few batches"): "batches, cold disk",
    ("write", "write"): "write + fsync",
}
# Okabe and Ito: told apart with any colour vision, and in grey.
_OURS, _OTHERS, _LIMIT = "#0072B2", "#BBBBBB", "#D55E00"
_TICKS = [0.001, 0.01, 0.1, 1]


def draw(result: dict[str, Any], paths: list[Path]) -> None:
    """Draw one matrix's results and save them in the format of each path's suffix."""
    found = {(t["format"], t["temperature"], t["operation"]): t for t in result["timings"]}
    panels = [key for key in _PANELS if (LIMIT, *key) in found]
    formats = [f for f in dict.fromkeys(t["format"] for t in result["timings"]) if f != LIMIT]
    n, d = result["shape"]
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans", "svg.fonttype": "none"}):
        figure = Figure(figsize=(1.9 + 1.75 * len(panels), 0.9 + 0.27 * len(formats)))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, key in zip(axes, panels, strict=True):
            _panel(axis, formats, [found.get((name, *key)) for name in formats])
            axis.set_title(_PANELS[key], fontsize=9, fontweight="bold")
        axes[0].set_yticks(range(len(formats)), formats)
        axes[0].invert_yaxis()  # of all: they share it
        for label in axes[0].get_yticklabels():
            if label.get_text() == OURS:
                label.set(fontweight="bold", color=_OURS)
        figure.supxlabel(
            f"times the rate of bare NumPy files (orange line), logarithmic; {n:,} × {d} "
            f"{result['dtype']}, {result['nbytes'] / 1e9:.2f} GB",
            fontsize=8.5,
        )
        figure.tight_layout(w_pad=0.8)
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=160, facecolor="white")


def _panel(axis: Axes, formats: list[str], timings: list[dict[str, Any] | None]) -> None:
    low, high = 0.0005, 60.0  # room for the numbers on the right
    for position, (name, timing) in enumerate(zip(formats, timings, strict=True)):
        if timing is None:
            axis.text(low * 1.3, position, "–", va="center", color="#777777")
            continue
        ratio = max(timing["ratio"], low * 1.1)
        axis.barh(
            position, ratio - low, left=low, color=_OURS if name == OURS else _OTHERS, height=0.7
        )
        weight = "bold" if name == OURS else "normal"
        label = f"{timing['ratio']:.2f}" if timing["ratio"] >= 0.1 else f"{timing['ratio']:.2g}"
        axis.text(
            ratio * 1.25,
            position,
            label,
            va="center",
            fontsize=8,
            fontweight=weight,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},  # the limit stays behind
        )
    axis.axvline(1, color=_LIMIT, linewidth=1)
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    axis.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS], fontsize=8)
    axis.xaxis.minorticks_off()
    axis.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
