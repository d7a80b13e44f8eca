"""Device: where torch computes, from the name that a user gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    import torch

DeviceName = Literal["cpu", "cuda", "auto"]


#: Floating-point operations of a pass below which one thread does it all.
_SHARED_WORK = 1e9


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


@contextmanager
def threads_for(work: float, device: torch.device) -> Iterator[None]:
    """Compute on one thread while passes of `work` operations are too short to share.

    Between short products, threads spend their time waiting for each other; where another
    program holds a core, the wait can be fifty times the work.
    """
    import torch

    if device.type != "cpu" or work >= _SHARED_WORK:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices faster than float32 ones.

    Examples
    --------
    >>> type(multiplies_bfloat16(device_of("cpu")))
    <class 'bool'>
    """
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older versions of torch do not say, but by private names.
    ask = getattr(torch.cpu, "get_capabilities", None)
    known: Mapping[str, object] = {} if ask is None else ask()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16"))
