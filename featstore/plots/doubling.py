"""Doubling: what twice as many training labels gain (Fig. A2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from featstore.counts import count_name
from featstore.errors import InvalidInputError
from featstore.metric_names import axis_name
from featstore.plots.canvas import axes, grid, ink, label_x, legend_above, look, percent, points
from featstore.quantity_result import Quantity


def doubling(
    results: Quantity | Sequence[Quantity] | Mapping[str, Quantity],
    *,
    metric: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the gain per doubling of the labels, between each two neighbouring sizes.

    Parameters
    ----------
    results
        Of `featstore.quantity`: one, several, or several by name.
    metric
        The first of the results by default.
    ax
        Axes to draw on; a new figure by default.

    Raises
    ------
    InvalidInputError
        If there are no results, or they lack the metric.

    References
    ----------
    Cole et al. (2022), When does contrastive visual representation learning work?, CVPR, Fig. A2,
    where the images are those of pretraining.
    """
    if isinstance(results, Mapping):
        named = dict(results)
    else:
        listed = [results] if isinstance(results, Quantity) else list(results)
        probes = {result.config.preset for result in listed}
        named = {
            result.config.name + (f", {result.config.preset}" if len(probes) > 1 else ""): result
            for result in listed
        }
    if not named:
        raise InvalidInputError("there are no results to draw")
    metric = metric or next(iter(named.values())).metric
    ax = axes(ax, width=5.6, height=3.2, legend=list(named))
    grid(ax, "y")
    ax.set_xscale("log", base=2)
    ax.axhline(0, color=ink(), linewidth=points(0.8))
    ticks: set[int] = set()
    for number, (name, result) in enumerate(named.items()):
        steps, drawing = result.doubling(metric), look(number)
        # A gain stands in the middle of the two sizes, side by side with those of other lines.
        middles = (steps["n_from"] * steps["n_to"]) ** 0.5 * 1.04 ** (number - (len(named) - 1) / 2)
        ticks.update(steps["n_from"], steps["n_to"])
        ax.vlines(
            middles,
            steps["low"],
            steps["high"],
            color=drawing["color"],
            alpha=0.5,
            linewidth=points(3),
        )
        ax.plot(
            middles,
            steps["gain"],
            markersize=points(5),
            linewidth=points(1.5),
            label=name,
            **drawing,
        )
    ax.set_xticks(sorted(ticks), [count_name(int(size)) for size in sorted(ticks)])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(percent(symbol=" pts"))
    ax.set_ylabel(f"gain per doubling, {axis_name(metric)}")
    label_x(ax, "training labels")
    legend_above(ax)
    return ax
