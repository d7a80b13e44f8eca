"""Fusion controls: what a pair gains by its size alone, and what it keeps at one member's size."""

from __future__ import annotations

import numpy as np

from featstore.analysis.block_moments import BlockMoments
from featstore.derived_store import DerivedFeature
from featstore.scaled import ScaledView
from featstore.scaling import BlockScaling, ScalingKind
from featstore.view import View


def random_projection(member: View, *, dim: int, seed: int) -> DerivedFeature:
    """Gaussian projection of a member, to be fused with the member itself.

    The pair has as many columns as with another feature of this dimension, and no more information
    than the member: whatever a linear probe gains from it comes from size and regularisation.

    Parameters
    ----------
    member
        One feature of d columns.
    dim
        Columns of the projection.
    seed
        Of its entries, which are independent with mean 0 and variance 1 / d.
    """
    (name,), d = member.names, member.shape[1]
    matrix = np.random.default_rng(seed).normal(scale=d**-0.5, size=(d, dim)).astype(np.float32)
    return DerivedFeature(
        f"{name}@projection", (name,), dim, lambda rows: rows @ matrix, f"projection({dim}, {seed})"
    )


def principal_components(train: View, *, dim: int, scaling: ScalingKind) -> DerivedFeature:
    """Leading principal components of a fused view: the pair at the size of one member.

    Parameters
    ----------
    train
        The pair's training rows, which alone the components are learned on (in a nested selection
        these are reported on too, each fold in turn; their labels are not looked at).
    dim
        Components; fewer where the rows span fewer dimensions.
    scaling
        Of the blocks, before the components are taken.
    """
    blocks = BlockScaling.fit(train, scaling)
    moments = BlockMoments.of(ScaledView(train, blocks))
    dim = min(dim, moments.n - 1, len(moments.mean))
    axes = np.linalg.eigh(moments.total)[1][:, : -dim - 1 : -1].astype(np.float32)  # (d, dim)
    mean = moments.mean.astype(np.float32)
    return DerivedFeature(
        f"{'+'.join(train.names)}@pca",
        train.names,
        dim,
        lambda rows: (blocks.transform(rows) - mean) @ axes,
        f"pca({dim}, {scaling})",
    )
