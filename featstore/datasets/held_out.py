"""A test split for samples that came without splits, and what to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featstore.holdout import HoldOut
from featstore.samples import Samples


def held_out(
    samples: Samples, source: Mapping[str, Any], hold_out: HoldOut | None
) -> tuple[Samples, dict[str, Any]]:
    """Draw a test split where there are no splits, and describe it.

    Parameters
    ----------
    samples
        The row table.
    source
        Where it comes from; see `featstore.dataset.Dataset`.
    hold_out
        How to draw; None leaves the samples as they are.

    Returns
    -------
    samples, source
        With the splits; and with the rule, and the options that give it again.
    """
    if samples.split_names or hold_out is None:
        return samples, dict(source)
    chosen = {key: value for key, value in hold_out.options.items() if value is not None}
    options = {**source.get("options", {}), **chosen}
    return hold_out.draw(samples), {**source, "options": options, "split": str(hold_out)}
