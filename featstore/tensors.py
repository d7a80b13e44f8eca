"""Tensors: a view's rows on a device, copied there while the rows before are used.

On CUDA the rows are gathered into page-locked buffers by a thread and copied by a stream of their
own, so that reading, copying and computing overlap; memory on the host is the ring of buffers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from featstore.batches import batch_positions, batch_rows, prefetched

if TYPE_CHECKING:
    import torch

    from featstore.view import View

#: Buffers: one being filled, one being copied, one waiting between the two.
_RING = 3


def tensor_batches(
    view: View,
    size: int | None = None,
    *,
    device: str = "cpu",
    shuffle: int | None = None,
    drop_last: bool = False,
) -> Iterator[torch.Tensor]:
    """Yield a view's rows as tensors on a device.

    Parameters
    ----------
    view
        A view or fused view, n rows.
    size
        Rows of a batch; by default what suits the view, see `FeatureView.batches`.
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    shuffle
        Seed of a random order, the same as that of `FeatureView.batches`; in order without it.
    drop_last
        Leave out a last batch of fewer rows.

    Returns
    -------
    batches
        Tensors of shape (size, dim), of the stored dtype; each is the caller's to keep.

    Raises
    ------
    InvalidInputError
        If `size` is below 1.
    MemoryCeilingError
        If the buffers are larger than the view's `max_memory`.
    """
    import torch

    target = torch.device(device)
    size = batch_rows(view, size, buffers=_RING)
    positions = prefetched(
        view,
        batch_positions(len(view), size, shuffle=shuffle, drop_last=drop_last),
        scattered=shuffle is not None,
    )
    if target.type == "cuda":
        return _through_pinned_buffers(view, positions, min(size, len(view)), target)
    # The batches of a view are read-only where nothing was copied; a tensor never is.
    return (torch.from_numpy(view.take(index)).to(target) for index in positions)


def load_tensor(
    view: View, *, device: str = "cpu", out: torch.Tensor | None = None
) -> torch.Tensor:
    """Read all values of a view onto a device.

    Parameters
    ----------
    view
        A view or fused view.
    device
        ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    out
        Tensor to fill, shape (n, dim), on its own device; a new one of the stored dtype by default.

    Returns
    -------
    values
        Shape (n, dim).
    """
    import torch

    if out is None:
        dtype = torch.from_numpy(np.empty(0, view.dtype)).dtype
        out = torch.empty(view.shape, dtype=dtype, device=device)
    start = 0
    for batch in tensor_batches(view, device=str(out.device)):
        out[start : start + len(batch)] = batch
        start += len(batch)
    return out


def _through_pinned_buffers(
    view: View, positions: Iterator[NDArray[np.intp]], size: int, device: torch.device
) -> Iterator[torch.Tensor]:
    import torch

    values = torch.from_numpy(np.empty((0, view.shape[1]), view.dtype))
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    free: deque[tuple[torch.Tensor, torch.cuda.Event | None]] = deque(
        (torch.empty((size, view.shape[1]), dtype=values.dtype, pin_memory=True), None)
        for _ in range(_RING)
    )

    def fill(
        index: NDArray[np.intp], buffer: torch.Tensor, copied: torch.cuda.Event | None
    ) -> torch.Tensor:
        if copied is not None:
            copied.synchronize()  # the copy out of this buffer may still be under way
        view.take(index, out=buffer[: len(index)].numpy())
        return buffer

    with ThreadPoolExecutor(1, thread_name_prefix="featstore-pinned") as thread:
        filling: deque[tuple[int, Future[torch.Tensor]]] = deque()
        more = True
        while more or filling:
            while more and free:
                index = next(positions, None)
                more = index is not None
                if index is not None:
                    filling.append((len(index), thread.submit(fill, index, *free.popleft())))
            if not filling:
                return
            rows, filled = filling.popleft()
            buffer = filled.result()
            with torch.cuda.stream(stream):
                batch = buffer[:rows].to(device, non_blocking=True)
                copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
                copied.record(stream)
            free.append((buffer, copied))
            current = torch.cuda.current_stream(device)
            current.wait_event(copied)
            # Freed memory must not be given away before the caller's stream is done with it.
            batch.record_stream(current)
            yield batch
