"""Transfer: how pixels get to a device, and features back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Transfer(Protocol):
    """Copies between the host and a device.

    Attributes
    ----------
    ahead
        Batches that may be under way when another one is begun; 0 where every copy is waited for.
    """

    @property
    def ahead(self) -> int:
        """0 or more."""
        ...

    def buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Make an array of zeros from which pixels are uploaded at the device's full speed."""
        ...

    def upload(self, pixels: Tensor) -> Tensor:
        """Copy pixels to the device; they stay as they are until their features are there."""
        ...

    def download(self, features: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Copy features, float32, to the host; return what waits for them."""
        ...


@dataclass(frozen=True)
class DirectTransfer:
    """Copies that are over when the call returns; on a CPU there is nothing to copy.

    Examples
    --------
    >>> transfer = DirectTransfer(torch.device("cpu"))
    >>> transfer.download(transfer.upload(torch.ones(2)))()
    array([1., 1.], dtype=float32)
    """

    device: torch.device
    ahead: int = 0

    def buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Make an array of zeros."""
        return np.zeros(shape, np.uint8)

    def upload(self, pixels: Tensor) -> Tensor:
        """Copy pixels to the device."""
        return pixels.to(self.device)

    def download(self, features: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Copy features to the host."""
        values: NDArray[np.float32] = features.cpu().numpy()
        return lambda: values


class StreamTransfer:
    """Copies by streams of their own, while a CUDA device computes what came before.

    Page-locked memory is taken from torch's allocator, which gives the same buffers out again: in
    steady state nothing is locked anew.

    Parameters
    ----------
    device
        With CUDA; it computes on the stream that is current when a copy is asked for.
    """

    ahead = 1

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._up = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._down = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def buffer(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Make an array of zeros in page-locked memory."""
        pixels: NDArray[np.uint8] = torch.zeros(shape, dtype=torch.uint8, pin_memory=True).numpy()
        return pixels

    def upload(self, pixels: Tensor) -> Tensor:
        """Begin to copy pixels; what is computed from now on waits for them, the host does not."""
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._up):
            # Of memory that is not locked nobody knows when the device has read it.
            uploaded = pixels.to(self._device, non_blocking=pixels.is_pinned())
        computing.wait_stream(self._up)
        # Freed memory must not be given away before the computing stream is done with it.
        uploaded.record_stream(computing)
        return uploaded

    def download(self, features: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Begin to copy features; what is computed next does not wait for that."""
        self._down.wait_stream(torch.cuda.current_stream(self._device))
        # A blocking event lets the host's core decode, where others would ask again and again.
        there = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(self._down):
            fetched = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
            fetched.copy_(features, non_blocking=True)
            there.record(self._down)
        features.record_stream(self._down)

        def wait() -> NDArray[np.float32]:
            there.synchronize()
            values: NDArray[np.float32] = fetched.numpy()
            return values

        return wait


def transfer_of(device: torch.device) -> Transfer:
    """Choose how a device is reached.

    Examples
    --------
    >>> transfer_of(torch.device("cpu")).ahead
    0
    """
    return StreamTransfer(device) if device.type == "cuda" else DirectTransfer(device)
