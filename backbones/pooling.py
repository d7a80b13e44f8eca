"""Pooling: from a layer's activation to one vector per image.

An activation is a vector (n, d), tokens (n, t, d) or a map (n, c, h, w); maps of channels-last
layers (n, h, w, c), as in Swin, are told apart by their equal edges, for inputs are square.
The functions take torch tensors and numpy arrays alike.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from featstore.errors import InvalidInputError

Pooling = Literal["none", "cls", "mean", "cls+mean", "flatten", "tokens"]

_BY_RANK: dict[int, tuple[Pooling, ...]] = {
    2: ("none", "flatten"),
    3: ("cls", "mean", "cls+mean", "flatten", "tokens"),
    4: ("mean", "flatten", "tokens"),
}


def choose_pooling(
    asked: str | None, shape: tuple[int, ...], *, prefix_tokens: int, layer: str
) -> Pooling:
    """Check the pooling that was asked for against an activation's shape, or choose one.

    By default vectors stay, maps are averaged, and of tokens the class token is taken; their
    mean where there is no class token.

    Parameters
    ----------
    asked
        One of `Pooling`, or None.
    shape
        The activation's shape, batch axis included.
    prefix_tokens
        Number of class and register tokens before the patch tokens.
    layer
        Its name, for the error.

    Raises
    ------
    InvalidInputError
        If the activation cannot be pooled in this way.

    Examples
    --------
    >>> choose_pooling(None, (1, 512, 7, 7), prefix_tokens=0, layer="layer4")
    'mean'
    """
    fitting = _BY_RANK.get(len(shape), ("flatten",))
    if len(shape) == 3:
        if prefix_tokens == 0:
            fitting = ("mean", "flatten", "tokens")
        elif prefix_tokens >= shape[1]:
            raise InvalidInputError(
                f"layer {layer!r} has {shape[1]} tokens, of which {prefix_tokens} are said to be "
                "prefix tokens; set ?prefix_tokens="
            )
    if asked is None:
        if len(shape) not in _BY_RANK:
            raise InvalidInputError(
                f"layer {layer!r} gives shape {shape}, neither a vector, tokens nor a map; "
                "choose another layer or ?pool=flatten"
            )
        return fitting[0]
    if asked not in get_args(Pooling):
        raise InvalidInputError(f"pool {asked!r} is not one of {', '.join(get_args(Pooling))}")
    chosen = next((how for how in fitting if how == asked), None)
    if chosen is None:
        raise InvalidInputError(
            f"layer {layer!r} gives shape {shape} with {prefix_tokens} prefix tokens, which "
            f"pool={asked} does not fit; use {' or '.join(fitting)}"
        )
    return chosen


def describe_pooling(how: Pooling, *, prefix_tokens: int, usual: int) -> str:
    """Name a pooling for a spec; names differ whenever values do.

    Parameters
    ----------
    how
        As `choose_pooling` returned it.
    prefix_tokens, usual
        What is used, and what follows from the architecture and needs no mention.

    Examples
    --------
    >>> describe_pooling("mean", prefix_tokens=1, usual=1)
    'mean'
    >>> describe_pooling("mean", prefix_tokens=5, usual=1)
    'mean (prefix_tokens=5)'
    """
    if how not in ("mean", "cls+mean", "tokens") or prefix_tokens == usual:
        return how
    return f"{how} (prefix_tokens={prefix_tokens})"


def pool(activation: Any, how: Pooling, *, prefix_tokens: int) -> list[Any]:
    """Pool a batch of activations.

    Parameters
    ----------
    activation
        Shape (n, d), (n, t, d), (n, c, h, w) or (n, h, w, c), float32.
    how
        As `choose_pooling` returned it.  ``"cls"`` is token 0; ``"mean"`` of tokens leaves out all
        prefix tokens (DINOv2's patch average).  ``"tokens"`` are all but the prefix tokens, or the
        positions of a map row by row, one after the other.
    prefix_tokens
        Number of class and register tokens.

    Returns
    -------
    parts
        Arrays of shape (n, d_i), to be set side by side.

    Examples
    --------
    >>> import numpy as np
    >>> tokens = np.float32([[[9], [1], [3]]])  # one image, a class token and two patches
    >>> [part.tolist() for part in pool(tokens, "cls+mean", prefix_tokens=1)]
    [[[9.0]], [[2.0]]]
    """
    if how == "none":
        return [activation]
    if how == "flatten":
        return [activation.reshape(len(activation), -1)]
    if how == "tokens":
        return [_tokens(activation, prefix_tokens).reshape(len(activation), -1)]
    if activation.ndim == 4:
        return [activation.mean(_spatial_axes(activation.shape))]
    tokens = {"cls": activation[:, 0], "mean": activation[:, prefix_tokens:].mean(1)}
    return [tokens[part] for part in how.split("+")]


def count_tokens(activation: Any, how: Pooling, *, prefix_tokens: int) -> int | None:
    """Count the tokens that `pool` leaves in a row; None where it leaves a single vector.

    Examples
    --------
    >>> import numpy as np
    >>> count_tokens(np.zeros((1, 512, 7, 7)), "tokens", prefix_tokens=0)
    49
    """
    return int(_tokens(activation, prefix_tokens).shape[1]) if how == "tokens" else None


def _tokens(activation: Any, prefix_tokens: int) -> Any:
    """Patch tokens, or the positions of a map, shape (n, t, d)."""
    if activation.ndim == 3:
        return activation[:, prefix_tokens:]
    if _spatial_axes(activation.shape) == (2, 3):
        activation = activation.swapaxes(1, 2).swapaxes(2, 3)  # channels last
    n, height, width, channels = activation.shape
    return activation.reshape(n, height * width, channels)


def _spatial_axes(shape: tuple[int, ...]) -> tuple[int, int]:
    _, first, second, third = shape
    return (1, 2) if first == second != third else (2, 3)
