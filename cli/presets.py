"""`featstore presets`: the protocols that `probe --preset` knows."""

from __future__ import annotations

import click
import pandas as pd

from featstore.cli.output import echo_json, echo_table, json_option


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the evaluation protocols of the field, with their sources."""
    from featstore.presets import PRESETS

    if as_json:
        echo_json([vars(preset) for preset in PRESETS.values()])
        return
    rows = [
        {
            "preset": preset.name,
            "probe": preset.probe,
            "values": _shown(preset.values),
            # What follows the colon is in the documents: here it would squeeze the values.
            "source": preset.source.partition(": ")[0],
        }
        for preset in PRESETS.values()
    ]
    echo_table(pd.DataFrame(rows))


def _shown(values: tuple[float, ...]) -> str:
    if not values:
        return "by a rule"
    if len(values) <= 4:
        return ", ".join(f"{value:g}" for value in values)
    return f"{values[0]:g} … {values[-1]:g} ({len(values)})"
