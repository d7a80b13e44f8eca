"""Tempered: a calibration with its temperature, from a result of `featstore calibration`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from featstore import plots
from featstore.html_report.exhibit import Exhibit, sheet
from featstore.html_report.figure import figure


def temperature_exhibit(key: str, document: dict[str, Any]) -> Exhibit:
    """Show the probabilities of a run as stored and after its temperature.

    Parameters
    ----------
    key
        The exhibit's anchor.
    document
        run, temperature, fitted_on, n_fitted, metrics, change, curve.
    """
    curve = pd.DataFrame(document["curve"])
    metrics = pd.DataFrame(document["metrics"])
    errors = metrics[metrics["metric"] == "ece"].set_index("scores")["value"]
    temperature = document["temperature"]
    told = f"{document['run']}: the expected calibration error is {errors['stored']:.3f}"
    if temperature is not None:
        told += (
            f", and {errors['scaled']:.3f} after a temperature of {temperature:.2f}, fitted on "
            f"{document['n_fitted']:,} rows ({document['fitted_on']})"
        )
    table = metrics.assign(
        value=metrics["value"].map("{:.3f}".format),
        interval=[
            "–" if pd.isna(low) else f"{low:.3f}–{high:.3f}"
            for low, high in zip(metrics["low"], metrics["high"], strict=True)
        ],
    )[["scores", "metric", "value", "interval"]]
    return Exhibit(
        key=key,
        heading="Temperature",
        sentences=[f"{told}."],
        figures=[
            figure(
                plots.reliability(curve),
                key=f"{key}-curve",
                caption="How often predictions come true, by how sure the probe is",
            )
        ],
        sheets=[sheet("Calibration", table, text=["scores", "metric"])],
        note="The temperature was never fitted on the reported rows.",
    )
