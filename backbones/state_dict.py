"""State dict: the named tensors in a checkpoint file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from featstore.errors import WeightsError
from featstore.suggest import did_you_mean


def read_state_dict(path: Path, *, key: str | None = None) -> dict[str, Tensor]:
    """Read a checkpoint's tensors, unpacking ``{"state_dict": ...}`` and the like.

    No code in the file is run: pickles are loaded with ``weights_only=True``.

    Parameters
    ----------
    path
        A ``.safetensors`` file, or anything that `torch.save` wrote.
    key
        Which entry holds the tensors, where several do (``"state_dict_ema"``).

    Raises
    ------
    WeightsError
        If the file cannot be read safely, or does not hold exactly one group of tensors.
    """
    content: Any = _read(path)
    if key is not None:
        if not isinstance(content, Mapping) or key not in content:
            entries = [str(name) for name in content] if isinstance(content, Mapping) else []
            raise WeightsError(f"{path} has no entry {key!r}. {did_you_mean(key, entries)}")
        content = content[key]
    while not (tensors := _tensors(content)):
        groups = _groups(content)
        if len(groups) != 1:
            raise WeightsError(
                f"{path} holds several groups of tensors; choose one by ?key=: {', '.join(groups)}"
                if groups
                else f"{path} holds no named tensors"
            )
        content = content[groups[0]]
    return tensors


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
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


def _tensors(content: Any) -> dict[str, Tensor]:
    """Tensors that lie directly in a mapping, by name."""
    if not isinstance(content, Mapping):
        return {}
    return {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _groups(content: Any) -> list[str]:
    """Entries of a mapping in which named tensors lie, at any depth of mappings by name."""
    if not isinstance(content, Mapping):
        return []
    return [
        name
        for name, value in content.items()
        if isinstance(name, str) and (_tensors(value) or _groups(value))
    ]
