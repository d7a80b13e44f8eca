"""What a call of `featstore.probe` asks for: a preset, its estimator and the plan of its choice."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, get_args

from featstore.errors import InvalidInputError
from featstore.estimator import Estimator
from featstore.presets import (
    DEFAULT_PRESETS,
    PRESETS,
    MultiLabelMetric,
    Preset,
    SingleLabelMetric,
    preset,
)
from featstore.registry import probe as probe_class
from featstore.registry import probe_place, probes
from featstore.samples import Target
from featstore.view import View


def chosen_preset(probe: str | None, name: str | None, value: float | None) -> Preset:
    """Return a preset by its name, or that of a probe; with one value if it is given.

    Raises
    ------
    InvalidInputError
        If there is no such preset or probe, they do not go together, or the value is impossible.

    Examples
    --------
    >>> chosen_preset("knn", None, 5).values
    (5,)
    """
    if name is None:
        probe = probe or "logistic"
        probe_place(probe)  # says which probes there are
        name = DEFAULT_PRESETS.get(probe, probe)
    if name not in PRESETS and name in probes():
        chosen = Preset(name, name, (), "the defaults of a plugin")
    else:
        chosen = preset(name)
    if probe is not None and probe != chosen.probe:
        raise InvalidInputError(
            f"preset {name!r} is a {chosen.probe} protocol; it cannot run with the probe {probe!r}"
        )
    if value is None:
        return chosen
    estimator = probe_class(chosen.probe)
    if not 0 <= value < math.inf:
        raise InvalidInputError(f"{estimator.parameter} is positive and finite, got {value:g}")
    if value != estimator.parameter_type(value):
        raise InvalidInputError(f"{estimator.parameter} is a whole number, got {value:g}")
    return dataclasses.replace(chosen, values=(value,))


def chosen_metric(protocol: Preset, labels: Target, name: str | None) -> str:
    """Return what a choice maximises: the named metric, or the preset's.

    Raises
    ------
    InvalidInputError
        If the metric is none for this kind of target.
    """
    known, usual = get_args(SingleLabelMetric), str(protocol.metric)
    if labels.kind == "multi":
        known, usual = get_args(MultiLabelMetric), protocol.multilabel_metric
    if name is not None and name not in known:
        raise InvalidInputError(
            f"a choice on a {labels.kind}-label target maximises one of {', '.join(known)}; got "
            f"{name!r}"
        )
    return name or usual


def make_estimator(
    protocol: Preset, view: View, *, max_memory: int | str | None = None, **offered: Any
) -> Estimator:
    """Make the protocol's estimator, with those of the offered arguments that it takes.

    Raises
    ------
    InvalidInputError
        If it attends to tokens, and the view is not of one feature that has them; or if it cannot
        stay below a ceiling on memory.
    """
    estimator: Estimator = probe_class(protocol.probe)(**protocol.arguments)
    if getattr(estimator, "needs_tokens", False):
        offered["n_tokens"] = _n_tokens(view, protocol)
    if "engine" not in estimator.get_params() and offered.get("engine", "torch") != "torch":
        raise InvalidInputError(
            f"the probe {protocol.probe!r} has one engine, torch, got {offered['engine']!r}"
        )
    if max_memory is not None:
        offered["max_memory"] = max_memory
        bounded = "max_memory" in estimator.get_params() or getattr(estimator, "streams", False)
        if not bounded:
            raise InvalidInputError(
                f"the probe {protocol.probe!r} holds all rows: it cannot stay below max_memory; "
                "leave it out, or choose another probe"
            )
    taken = estimator.get_params().keys() & offered.keys()
    estimator.set_params(**{name: offered[name] for name in taken})
    return estimator


def _n_tokens(view: View, protocol: Preset) -> int:
    """Tokens of a row of the one feature that a probe over tokens can take."""
    block, *others = view.blocks
    if others:
        raise InvalidInputError(
            f"{protocol.name} attends to the tokens of one feature; it cannot take "
            f"{' + '.join(view.names)} side by side"
        )
    n_tokens = block.spec.backbone.n_tokens
    if n_tokens is None:
        raise InvalidInputError(
            f"{protocol.name} attends to tokens, and {block.name!r} holds one vector per image; "
            "extract its backbone with ?pool=tokens, e.g. --backbone "
            f"'{block.name}-tokens=timm/vit_small_patch14_dinov2?pool=tokens'"
        )
    return n_tokens
