"""State dict: the groups of named tensors in a checkpoint file."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featstore.errors import WeightsError
from featstore.suggest import did_you_mean

State = dict[str, Tensor]

# What torch.compile, FSDP and activation checkpointing put into the middle of names.
_WRAPPERS = re.compile(
    r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)

# Plain data that training scripts store beside the tensors (DINO and MAE their arguments, MoCo its
# best accuracy); building them runs no code of theirs.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *{type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u8", "?")},
    np.ndarray,
    *(
        (getattr(np._core.multiarray, name), f"{module}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for module in ("numpy.core", "numpy._core")
    ),
]


def read_groups(path: Path, *, key: str | None = None) -> dict[str, State]:
    """Read a checkpoint's tensors, by the place where they lie together.

    No code in the file is run: pickles are loaded with ``weights_only=True``.

    Parameters
    ----------
    path
        A ``.safetensors`` file, or anything that `torch.save` wrote.
    key
        Only what lies at or below this entry (``"state_dict_ema"``; ``"model.trunk"`` for an
        entry within an entry).

    Returns
    -------
    groups
        Named tensors by the dotted path of the entry that holds them; ``""`` is the file itself.

    Raises
    ------
    WeightsError
        If the file cannot be read safely, or holds no named tensors at `key`.
    """
    content = _read(path)
    groups = {".".join(place): state for place, state in _groups(content, ())}
    if key is not None:
        chosen = {
            place: state
            for place, state in groups.items()
            if place == key or place.startswith(f"{key}.")
        }
        if not chosen:
            entries = [str(name) for name in content] if isinstance(content, Mapping) else []
            raise WeightsError(
                f"{path} has no entry {key!r} with tensors. {did_you_mean(key, entries)}"
            )
        groups = chosen
    if not groups:
        raise WeightsError(f"{path} holds no named tensors")
    return groups


def without_wrappers(name: str) -> str:
    """Take out of a tensor's name what wrappers of modules put into it.

    Examples
    --------
    >>> without_wrappers("module._orig_mod.blocks.0._fsdp_wrapped_module.norm1.weight")
    'module.blocks.0.norm1.weight'
    """
    return _WRAPPERS.sub("", name)


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("WeightsUnpickler error:")[-1].strip().splitlines()[0]
        raise WeightsError(
            f"{path} is refused: loading it would run code or build objects beyond tensors "
            f"({reason}). If you trust it, save its tensors alone: "
            "torch.save(torch.load(FILE, weights_only=False)['state_dict'], 'weights.pth')"
        ) from error
    except Exception as error:  # damaged archives raise anything, from KeyError to EOFError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"cannot read checkpoint {path}: {reason}") from error


def _groups(content: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], State]]:
    """Walk mappings by name, at any depth; tensors that lie directly in one are a group."""
    if not isinstance(content, Mapping):
        return
    named = {name: value for name, value in content.items() if isinstance(name, str)}
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    if tensors:
        yield place, {without_wrappers(name): tensor for name, tensor in tensors.items()}
    for name, value in named.items():
        yield from _groups(value, (*place, name))
