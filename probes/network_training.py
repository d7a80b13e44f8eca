"""Training of networks in one pass: from settings and rows to heads and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from featstore.probes.curves import Curve
from featstore.probes.device import threads_for
from featstore.probes.head_network import HeadNetwork
from featstore.probes.head_stack import HeadSettings
from featstore.probes.network_heads import NetworkHeads
from featstore.probes.network_stack import NetworkStack
from featstore.probes.open_feed import open_feed
from featstore.probes.sgd_loop import train
from featstore.probes.stream import RowStream
from featstore.probes.training_plan import Plan

_PASSES = 3  # products of a step: forward, and two backward


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """The heads of one architecture as their training left them.

    Attributes
    ----------
    members
        Which of the heads that were asked for these are.
    heads
        Their parameters, in this order.
    curves
        Of the training of each.
    """

    members: tuple[int, ...]
    heads: NetworkHeads
    curves: tuple[Curve, ...]

    def divergence(self, i: int) -> int | None:
        """Return the epoch, from 1, in which a head ceased to be finite; None."""
        return self.curves[i].divergence(part[i] for part in self.heads.parts.values())


def train_networks(
    estimator: Any,
    networks: Sequence[HeadNetwork],
    settings: Sequence[HeadSettings],
    stream: RowStream,
    plan: Plan,
    *,
    device: torch.device,
) -> list[TrainedNetwork]:
    """Train heads in one pass over the rows, those of equal architecture stacked.

    Parameters
    ----------
    estimator
        The probe being fitted: has `max_memory` and `seed`.
    networks, settings
        Architecture, learning rate and weight decay of each head.
    stream
        Features.
    plan
        Of the training.
    device
        Where to.

    Returns
    -------
    trained
        One per architecture, in the order in which they come first.
    """
    groups: dict[HeadNetwork, list[int]] = {}
    for i, network in enumerate(networks):
        groups.setdefault(network, []).append(i)
    stacks = [
        NetworkStack(
            network, [settings[i] for i in members], plan, seed=estimator.seed, device=device
        )
        for network, members in groups.items()
    ]
    per_row = sum(network.operations_per_row(len(members)) for network, members in groups.items())
    with (
        threads_for(_PASSES * plan.order.batch_size * per_row, device),
        open_feed(estimator, stream, plan, max_memory=estimator.max_memory) as feed,
    ):
        means = train(stacks, feed, plan).means()
    shares = plan.shares[:: plan.order.steps_per_epoch][: len(means)]
    trained, place = [], 0
    for stack, members in zip(stacks, groups.values(), strict=True):
        curves = [
            Curve(settings[i].lr * shares, *means[:, :, place + j].T) for j, i in enumerate(members)
        ]
        place += len(members)
        heads = NetworkHeads(stack.network, stack.parts, plan.scaling)
        trained.append(TrainedNetwork(tuple(members), heads, tuple(curves)))
    return trained
