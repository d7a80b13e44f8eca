"""Training of many heads in one pass: from settings and rows to weights and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featstore.probes.batch_loss import loss_of
from featstore.probes.curves import Curve, CurveRecorder
from featstore.probes.device import device_of, threads_for
from featstore.probes.head_columns import column_numbers
from featstore.probes.head_stack import HeadSettings, HeadStack
from featstore.probes.initial_weights import initial_weights
from featstore.probes.inputs import Targets
from featstore.probes.open_feed import open_feed
from featstore.probes.row_feed import MemoryFeed
from featstore.probes.sample_order import SampleOrder
from featstore.probes.schedule import factors
from featstore.probes.sgd_graphs import fits, train_resident
from featstore.probes.sgd_loop import train
from featstore.probes.stream import RowStream
from featstore.probes.training_plan import Plan
from featstore.probes.update import Adam, Momentum

if TYPE_CHECKING:
    from featstore.probes.sgd import SGDProbe


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A head as its training left it.

    Attributes
    ----------
    columns
        Features that it sees, shape (p,).
    weights, offsets
        Over these, shapes (k, p) and (k,), float64.
    curve
        Of its training.
    """

    columns: NDArray[np.intp]
    weights: Tensor
    offsets: Tensor
    curve: Curve

    @property
    def diverged(self) -> int | None:
        """Epoch, from 1, in which the loss or the weights ceased to be finite; None."""
        return self.curve.divergence([self.weights, self.offsets])


def train_heads(
    probes: Sequence[SGDProbe], stream: RowStream, targets: Targets
) -> list[TrainedHead]:
    """Train the heads of probes that differ in learning rate, weight decay and columns alone.

    Parameters
    ----------
    probes
        At least one.
    stream
        Features.
    targets
        Of the same rows.

    Returns
    -------
    heads
        In the order of the probes.
    """
    lead, device = probes[0], device_of(probes[0].device)
    plan = _plan(lead, stream, targets, device)
    columns = [column_numbers(probe.columns, plan.dim) for probe in probes]
    groups: dict[bytes, list[int]] = {}
    for position, numbers in enumerate(columns):
        groups.setdefault(numbers.tobytes(), []).append(position)
    stacks = [
        _stack([probes[i] for i in members], columns[members[0]], plan, device)
        for members in groups.values()
    ]
    n_weights = sum(stack.theta.numel() for stack in stacks)
    with threads_for(4.0 * plan.order.batch_size * n_weights, device):
        means = _run(lead, stream, stacks, plan).means()
    shares = plan.shares[:: plan.order.steps_per_epoch][: len(means)]
    thetas = [theta for stack in stacks for theta in stack.weights().double()]
    heads = {}
    for place, position in enumerate(i for members in groups.values() for i in members):
        heads[position] = TrainedHead(
            columns[position],
            thetas[place][:, :-1],
            thetas[place][:, -1],
            Curve(probes[position].base_lr * shares, *means[:, :, place].T),
        )
    return [heads[position] for position in range(len(probes))]


def _plan(lead: SGDProbe, stream: RowStream, targets: Targets, device: torch.device) -> Plan:
    order = SampleOrder(
        len(stream), batch_size=lead.batch_size, seed=lead.seed, drop_last=lead.drop_last
    )
    return Plan(
        order=order,
        shares=factors(
            lead.schedule,
            lead.epochs * order.steps_per_epoch if lead.steps is None else lead.steps,
            steps_per_epoch=order.steps_per_epoch,
            warmup_steps=lead.warmup_steps,
        ),
        loss=loss_of(targets, device),
        update=Momentum(lead.momentum, lead.nesterov)
        if lead.optimizer == "sgd"
        else Adam(lead.betas, decoupled=lead.optimizer == "adamw"),
        dim=stream.shape[1],
        normalise=lead.normalise,
        decay_bias=lead.decay_bias,
        products=lead.products,
    )


def _stack(
    probes: Sequence[SGDProbe],
    columns: NDArray[np.intp],
    plan: Plan,
    device: torch.device,
) -> HeadStack:
    lead = probes[0]
    start = initial_weights(
        lead.init,
        n_columns=plan.loss.n_columns,
        dim=len(columns),
        std=lead.init_std,
        seed=lead.seed,
    )
    whole = np.array_equal(columns, np.arange(plan.dim))
    return HeadStack(
        [HeadSettings(probe.base_lr, probe.weight_decay) for probe in probes],
        None if whole else torch.from_numpy(columns).to(device),
        plan,
        start=start,
        device=device,
        batch_size=plan.order.batch_size,
    )


def _run(
    lead: SGDProbe,
    stream: RowStream,
    stacks: Sequence[HeadStack],
    plan: Plan,
) -> CurveRecorder:
    """Train on the device where the rows fit there, else batch by batch."""
    with open_feed(lead, stream, plan, max_memory=lead.max_memory) as feed:
        device = stacks[0].device
        if isinstance(feed, MemoryFeed) and device.type == "cuda" and fits(plan, device):
            return train_resident(stacks, feed.X, plan)
        return train(stacks, feed, plan)
