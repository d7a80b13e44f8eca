"""Layer: the activation at one module of a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

Side = Literal["input", "output"]
Forward = Callable[[Tensor], Tensor]


class _Reached(Exception):  # noqa: N818  (a signal, not an error)
    """Ends a forward pass once the wanted activation exists."""

    def __init__(self, activation: Any) -> None:
        self.activation = activation


def tap(network: nn.Module, layer: str, *, side: Side = "output") -> Forward:
    """Make a function that runs a network up to one module and returns its activation.

    Nothing is rewired: a hook on the module ends the forward pass, so what comes after is
    neither computed nor needed.  The first call sets the hook, and it stays: taking it away
    between calls would disturb threads that are in the middle of theirs.

    Parameters
    ----------
    network
        Any module that takes (n, 3, h, w).
    layer
        Dotted name of one of its modules.
    side
        What goes into the module, or what comes out of it.

    Raises
    ------
    InvalidInputError
        If there is no such module; from the function, if the forward pass does not run it or it
        gives no tensor.
    """
    known = dict(network.named_modules())
    if not layer or layer not in known:
        raise InvalidInputError(f"no layer {layer!r}. {did_you_mean(layer, filter(None, known))}")
    module = known[layer]

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        raise _Reached(inputs[0])

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        raise _Reached(output)

    @cache
    def set_hook() -> None:
        if side == "input":
            module.register_forward_pre_hook(before)
        else:
            module.register_forward_hook(after)

    def forward(images: Tensor) -> Tensor:
        set_hook()
        try:
            network(images)
        except _Reached as reached:
            activation = reached.activation
        else:
            raise InvalidInputError(
                f"layer {layer!r} exists but the forward pass does not run it; choose another"
            )
        if not isinstance(activation, Tensor):
            raise InvalidInputError(
                f"layer {layer!r} gives a {type(activation).__name__}, not a tensor; "
                "choose a module inside or around it"
            )
        return activation

    return forward


def check_runs_once(network: nn.Module, layer: str, images: Tensor) -> None:
    """Refuse a module that one forward pass runs several times.

    Such as a ReLU shared between the steps of a residual block: its "activation" would be
    whichever comes first.

    Raises
    ------
    InvalidInputError
        Saying how often it runs.
    """
    runs = 0

    def count(_: nn.Module, __: tuple[Any, ...]) -> None:
        nonlocal runs
        runs += 1

    hook = network.get_submodule(layer).register_forward_pre_hook(count)
    try:
        with torch.inference_mode():
            network(images)
    finally:
        hook.remove()
    if runs > 1:
        raise InvalidInputError(
            f"layer {layer!r} runs {runs} times in one forward pass; choose one that runs once"
        )
