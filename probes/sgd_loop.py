"""The loop of minibatch descent: one pass over the rows per epoch, for all heads together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from featstore.probes.curves import CurveRecorder
from featstore.probes.row_feed import RowFeed
from featstore.probes.trainable import Trainable
from featstore.probes.training_plan import Plan


def finish_step(
    stacks: Sequence[Trainable],
    X: Tensor,
    targets: Tensor,
    *,
    coefficients: Sequence[float] | Tensor,
) -> None:
    """Update all stacks by a batch whose logits they have.

    Parameters
    ----------
    stacks
        To train.
    X
        Design of the batch.
    targets
        Of its rows.
    coefficients
        Of the update.
    """
    for stack in stacks:
        stack.backward(X, targets)
        stack.step(coefficients)


def train(stacks: Sequence[Trainable], feed: RowFeed, plan: Plan) -> CurveRecorder:
    """Run a training.

    Parameters
    ----------
    stacks
        To train, in place.
    feed
        Of the rows.
    plan
        What to do.

    Returns
    -------
    recorder
        Of all epochs, or of those up to the one in which no head was finite any more.
    """
    device = stacks[0].device
    design = plan.new_design(plan.order.batch_size, plan.dim, device)
    recorder = CurveRecorder(stacks)
    for steps in plan.epochs():
        n_seen = 0
        for step in steps:
            batch, n = torch.from_numpy(plan.order.batch(step)).to(device), 0
            # The blocks of the feed are small: the cache still holds them for the product.
            for values in feed.batch(step):
                rows = slice(n, n + values.shape[0])
                X, n = design[rows], rows.stop
                plan.write(values.to(device), X)
                for stack in stacks:
                    stack.forward(X, rows)
            targets = plan.loss.targets(batch)
            coefficients = plan.coefficients[step].tolist()
            finish_step(stacks, design[:n], targets, coefficients=coefficients)
            n_seen += n
        if not recorder.close_epoch(n_seen):
            break
    return recorder
