"""Layer: the activation at one module of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from threading import local
from typing import Any, Literal

import torch
from torch import Tensor, nn

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

Side = Literal["input", "output"]
Forward = Callable[[Tensor], Tensor]
Forwards = Callable[[Tensor], list[Tensor]]


_WHOLE: ContextVar[bool] = ContextVar("whole", default=False)


@contextmanager
def whole_passes() -> Iterator[None]:
    """Let forward passes of `tap` and `taps` run to their ends while the block runs.

    Tools that follow a network module by module, such as torch's exporter, lose their way where an
    exception leaves it; what comes after the layer is then computed for nothing.
    """
    before = _WHOLE.set(True)
    try:
        yield
    finally:
        _WHOLE.reset(before)


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
    module = _module(network, layer)
    reached = local()  # threads run passes side by side

    def end(activation: Any) -> None:
        if not _WHOLE.get():
            raise _Reached(activation)
        reached.first = [*reached.first, activation][:1]

    def before(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        end(inputs[0])

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        end(output)

    @cache
    def set_hook() -> None:
        if side == "input":
            module.register_forward_pre_hook(before)
        else:
            module.register_forward_hook(after)

    def forward(images: Tensor) -> Tensor:
        set_hook()
        reached.first = []
        try:
            network(images)
        except _Reached as signal:
            reached.first = [signal.activation]
        if not reached.first:
            raise _not_run(layer)
        return _tensor(reached.first.pop(), layer)

    return forward


def taps(network: nn.Module, layers: Sequence[str]) -> Forwards:
    """Make a function that returns the activations of several modules from one forward pass.

    The pass ends once all are there, in whatever order they run.

    Parameters
    ----------
    network
        Any module that takes (n, 3, h, w).
    layers
        Dotted names of some of its modules.

    Raises
    ------
    InvalidInputError
        As `tap` does; also if a module is named twice.

    Examples
    --------
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 5))
    >>> [a.shape[1] for a in taps(net, ["2", "1"])(torch.zeros(1, 3, 1, 1))]
    [2, 2]
    """
    modules = {layer: _module(network, layer) for layer in layers}
    if len(modules) != len(layers):
        raise InvalidInputError(f"layers {', '.join(layers)}: one is named twice")
    reached = local()  # threads run passes side by side

    def keep(layer: str) -> Callable[..., None]:
        def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
            reached.activations[layer] = output
            if len(reached.activations) == len(modules) and not _WHOLE.get():
                raise _Reached(None)

        return after

    @cache
    def set_hooks() -> None:
        for layer, module in modules.items():
            module.register_forward_hook(keep(layer))

    def forward(images: Tensor) -> list[Tensor]:
        set_hooks()
        reached.activations = {}
        with suppress(_Reached):
            network(images)
        for layer in layers:
            if layer not in reached.activations:
                raise _not_run(layer)
        return [_tensor(reached.activations.pop(layer), layer) for layer in layers]

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


def _module(network: nn.Module, layer: str) -> nn.Module:
    known = dict(network.named_modules())
    if not layer or layer not in known:
        raise InvalidInputError(f"no layer {layer!r}. {did_you_mean(layer, filter(None, known))}")
    module: nn.Module = known[layer]
    return module


def _not_run(layer: str) -> InvalidInputError:
    return InvalidInputError(
        f"layer {layer!r} exists but the forward pass does not run it; choose another"
    )


def _tensor(activation: Any, layer: str) -> Tensor:
    if not isinstance(activation, Tensor):
        raise InvalidInputError(
            f"layer {layer!r} gives a {type(activation).__name__}, not a tensor; "
            "choose a module inside or around it"
        )
    return activation
