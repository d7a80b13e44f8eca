"""Trainings on CUDA: the features stay there, and many steps are one captured graph.

A step of a linear head is a dozen kernels of a few microseconds each; launched one by one from
Python they would cost several times what they compute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from featstore.probes.curves import CurveRecorder
from featstore.probes.head_stack import HeadStack
from featstore.probes.inputs import blocks
from featstore.probes.sgd_loop import finish_step
from featstore.probes.training_plan import Plan

#: Steps of a graph.
GRAPH_STEPS = 50
_UPLOAD_ROWS = 1 << 16
_MEMORY_SHARE = 0.8
_WARM_UP = 3  # torch's advice: libraries set themselves up in the first calls


def fits(plan: Plan, device: torch.device) -> bool:
    """Whether the design matrix of all rows fits in the free memory of a CUDA device."""
    row = plan.new_design(1, plan.dim, device)
    free, _ = torch.cuda.mem_get_info(device)
    # What earlier trainings gave back is kept by torch, to be used again.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return plan.order.n * row.numel() * row.element_size() <= _MEMORY_SHARE * free


def train_resident(
    stacks: Sequence[HeadStack], X: Tensor, plan: Plan, *, graph_steps: int = GRAPH_STEPS
) -> CurveRecorder:
    """Run a training whose features are copied to the stacks' device once.

    Parameters
    ----------
    stacks
        To train, in place.
    X
        Stored rows (n, d), on the CPU.
    plan
        What to do.
    graph_steps
        Steps that are captured together; what an epoch has beyond a multiple of them, and its
        short last batch, is run step by step.

    Returns
    -------
    recorder
        As of `featstore.probes.sgd_loop.train`.
    """
    device, order = stacks[0].theta.device, plan.order
    design = plan.new_design(len(X), plan.dim, device)
    for part in blocks(len(X), _UPLOAD_ROWS):
        plan.write(X[part].to(device), design[part])
    table = torch.tensor(plan.coefficients, dtype=torch.float32, device=device)
    rows = torch.zeros(graph_steps, order.batch_size, dtype=torch.int64, device=device)
    coefficients = torch.ones(graph_steps, table.shape[1], device=device)

    def one_step(batch: Tensor, of_step: Tensor) -> None:
        X = design.index_select(0, batch)
        for stack in stacks:
            stack.forward(X, slice(0, len(batch)))
        finish_step(stacks, X, plan.loss.targets(batch), coefficients=of_step)

    def many_steps() -> None:
        for i in range(graph_steps):
            one_step(rows[i], coefficients[i])

    def permutation_of(epoch: int) -> Tensor:
        permutation = torch.from_numpy(order.epoch(epoch))
        return permutation.pin_memory() if device.type == "cuda" else permutation

    replay = _captured(many_steps, stacks) if device.type == "cuda" else many_steps
    recorder = CurveRecorder(stacks)
    with ThreadPoolExecutor(1, thread_name_prefix="featstore-order") as thread:
        drawn = thread.submit(permutation_of, 0)
        for epoch, steps in enumerate(plan.epochs()):
            permutation = drawn.result().to(device, non_blocking=True)
            drawn = thread.submit(permutation_of, epoch + 1)  # while the device computes
            batches = [permutation[part] for part in blocks(order.n, order.batch_size)][
                : len(steps)
            ]
            n_full = sum(len(batch) == order.batch_size for batch in batches)
            n_captured = n_full - n_full % graph_steps
            for i in range(0, n_captured, graph_steps):
                rows.copy_(permutation[i * order.batch_size :][: rows.numel()].view_as(rows))
                coefficients.copy_(table[steps[i] : steps[i] + graph_steps])
                replay()
            for i in range(n_captured, len(batches)):
                one_step(batches[i], table[steps[i]])
            if not recorder.close_epoch(sum(map(len, batches))):
                break
    return recorder


def _captured(work: Callable[[], None], stacks: Sequence[HeadStack]) -> Callable[[], None]:
    """Capture work on the stacks as a CUDA graph, and leave the stacks as they were."""
    changed = [tensor for stack in stacks for tensor in stack.tensors]
    before = [tensor.clone() for tensor in changed]
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            work()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # By default calls of other threads, such as a loader that pins memory, would end the capture.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        work()
    for tensor, value in zip(changed, before, strict=True):
        tensor.copy_(value)
    return graph.replay
