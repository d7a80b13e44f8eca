"""Pooling of vectors, tokens and maps, on numpy and torch alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from featstore.backbones.pooling import choose_pooling, count_tokens, describe_pooling, pool
from featstore.errors import InvalidInputError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("shape", "prefix", "how", "expected"),
    [
        ((2, 5), 0, "none", lambda x: x),
        ((2, 7, 5), 1, "cls", lambda x: x[:, 0]),
        ((2, 7, 5), 1, "mean", lambda x: x[:, 1:].mean(1)),
        ((2, 7, 5), 5, "mean", lambda x: x[:, 5:].mean(1)),
        ((2, 7, 5), 5, "cls+mean", lambda x: np.concatenate([x[:, 0], x[:, 5:].mean(1)], 1)),
        ((2, 7, 5), 0, "mean", lambda x: x.mean(1)),
        ((2, 9, 3, 3), 0, "mean", lambda x: x.mean((2, 3))),
        ((2, 3, 3, 9), 0, "mean", lambda x: x.mean((1, 2))),  # channels last, as in Swin
        ((2, 3, 3, 3), 0, "mean", lambda x: x.mean((2, 3))),
        ((2, 9, 3, 3), 0, "flatten", lambda x: x.reshape(2, -1)),
        ((2, 7, 5), 0, "tokens", lambda x: x.reshape(2, -1)),
        ((2, 7, 5), 5, "tokens", lambda x: x[:, 5:].reshape(2, -1)),
        ((2, 9, 3, 3), 0, "tokens", lambda x: x.reshape(2, 9, 9).transpose(0, 2, 1).reshape(2, -1)),
        ((2, 9, 3, 4), 0, "tokens", lambda x: np.einsum("nchw->nhwc", x).reshape(2, -1)),
        ((2, 3, 3, 9), 0, "tokens", lambda x: x.reshape(2, -1)),  # channels last, as in Swin
    ],
)
def test_pooling_is_numpy_of_the_definition(
    convert: Any, shape: tuple[int, ...], prefix: int, how: Any, expected: Any
) -> None:
    activation = RNG.standard_normal(shape).astype(np.float32)
    parts = pool(convert(activation), how, prefix_tokens=prefix)
    pooled = np.concatenate([np.asarray(part) for part in parts], axis=1)
    np.testing.assert_allclose(pooled, expected(activation), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "prefix", "default"),
    [
        ((1, 5), 0, "none"),
        ((1, 7, 5), 1, "cls"),
        ((1, 7, 5), 0, "mean"),
        ((1, 9, 3, 3), 0, "mean"),
    ],
)
def test_default_follows_the_rank(shape: tuple[int, ...], prefix: int, default: str) -> None:
    assert choose_pooling(None, shape, prefix_tokens=prefix, layer="x") == default


@pytest.mark.parametrize(
    ("asked", "shape", "prefix", "message"),
    [
        ("max", (1, 5), 0, "'max' is not one of none, cls"),
        ("cls", (1, 9, 3, 3), 0, "pool=cls does not fit; use mean or flatten"),
        ("cls", (1, 7, 5), 0, "0 prefix tokens, which pool=cls does not fit"),
        ("mean", (1, 5), 0, "use none or flatten"),
        ("tokens", (1, 5), 0, "pool=tokens does not fit; use none or flatten"),
        ("mean", (1, 4, 5), 4, "4 tokens, of which 4 are said to be prefix"),
        (None, (1, 2, 3, 4, 5), 0, "neither a vector, tokens nor a map"),
    ],
)
def test_what_does_not_fit_is_refused(
    asked: str | None, shape: tuple[int, ...], prefix: int, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message.replace("+", r"\+")):
        choose_pooling(asked, shape, prefix_tokens=prefix, layer="x")


def test_tokens_are_counted_and_named() -> None:
    assert count_tokens(np.zeros((1, 7, 5)), "tokens", prefix_tokens=2) == 5
    assert count_tokens(np.zeros((1, 9, 3, 4)), "tokens", prefix_tokens=0) == 12
    assert count_tokens(np.zeros((1, 7, 5)), "mean", prefix_tokens=2) is None
    assert describe_pooling("tokens", prefix_tokens=1, usual=1) == "tokens"
    assert describe_pooling("tokens", prefix_tokens=5, usual=1) == "tokens (prefix_tokens=5)"
