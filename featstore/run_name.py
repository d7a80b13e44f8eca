"""run_name: what a run is called that nobody gave a name."""

from __future__ import annotations

import dataclasses
import re

from featstore.run_config import RunConfig
from featstore.spec import digest

_NAME_LENGTH = 120


def run_name(config: RunConfig) -> str:
    """Name a run by its configuration.

    Equal configurations get equal names; different ones differ in their last letters.

    Examples
    --------
    >>> config = RunConfig(("x",), ("0",), (8,), "label", "logistic", "logistic", "C", 1.0, "fixed",
    ...                    "none", "train", "test", 9, 3, 0)
    >>> run_name(config)[:-6]
    'logistic-x-label-'
    >>> run_name(dataclasses.replace(config, test_features=("x-jpeg10",)))[:-6]
    'logistic-x-on-x-jpeg10-label-'
    """
    shown = "+".join(config.features)
    if config.test_features:
        shown += f"-on-{'+'.join(config.test_features)}"
    words = f"{config.preset}-{shown}-{config.target}"
    # A target may be called what no folder can; the digest tells shortened names apart.
    words = re.sub(r"[^A-Za-z0-9_.+-]+", "_", words)[:_NAME_LENGTH]
    # Names of runs outlive releases: what a later one adds changes no name by its default.
    usual = {field.name: field.default for field in dataclasses.fields(config)}
    fields = {
        name: value for name, value in dataclasses.asdict(config).items() if value != usual[name]
    }
    return f"{words}-{digest(fields)[:6]}"
