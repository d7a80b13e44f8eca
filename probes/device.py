"""Device: where torch computes, from the name that a user gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

DeviceName = Literal["cpu", "cuda", "auto"]


def device_of(name: DeviceName) -> torch.device:
    """Resolve ``"cpu"``, ``"cuda"`` or ``"auto"``, which is CUDA where there is some.

    Raises
    ------
    InvalidInputError
        If the name is another, or CUDA is asked for and missing.

    Examples
    --------
    >>> device_of("cpu")
    device(type='cpu')
    """
    import torch

    if name not in ("cpu", "cuda", "auto"):
        raise InvalidInputError(f"device must be 'cpu', 'cuda' or 'auto', got {name!r}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError("device='cuda', but torch sees no CUDA device; use 'cpu' or 'auto'")
    return torch.device(name)
