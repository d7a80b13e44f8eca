"""pool: one set of images drawn from several stores (Cole et al. 2022, Table 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from featstore.errors import InvalidInputError
from featstore.size_draws import SizeDraws
from featstore.spec import digest
from featstore.store import FeatureStore, checked_name
from featstore.subset import Subset


@dataclass(frozen=True, eq=False)
class Pool:
    """Images of several stores, shuffled together.

    Attributes
    ----------
    stores
        By the name that is put in front of their ids.
    parts
        Rows of each store, by the same name.
    seed
        Of the draws, and of the order.
    """

    stores: Mapping[str, FeatureStore]
    parts: Mapping[str, Subset]
    seed: int

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    @property
    def digest(self) -> str:
        """Sha256 of names, seed and the digests of the parts: equal for equal sets."""
        parts = {name: subset.digest for name, subset in self.parts.items()}
        return digest({"kind": "pool", "seed": self.seed, "parts": parts})


def pool(
    stores: Mapping[str, FeatureStore | str | Path],
    *,
    total: int | None = None,
    sizes: Sequence[int] | None = None,
    subset: str | None = None,
    split: str = "train",
    seed: int = 0,
) -> Pool:
    """Draw images from several stores; by default as many from each as the smallest has.

    The rows of a store are those that a subset of this size and seed has (`SizeDraws`), so they
    are nested in larger ones, and equal to those of a set from this store alone.

    Parameters
    ----------
    stores
        Two or more, by the names that tell their images apart.
    total
        Images in all, in equal shares; the first stores give one more where it cannot be divided.
    sizes
        Images of each store instead.
    subset
        Take the stored subset of this name from each store instead.
    split
        To draw from.
    seed
        Another seed, other images in another order.

    Raises
    ------
    FeatureNotFoundError
        If a store has no such split or subset.
    InvalidInputError
        If there are too few stores or rows, or the arguments contradict each other.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from featstore.samples import Samples
    >>> place = tempfile.TemporaryDirectory()
    >>> stores = {
    ...     name: FeatureStore.create(
    ...         f"{place.name}/{name}.zarr",
    ...         Samples(np.asarray([f"{i}.jpg" for i in range(n)]), np.full(n, "train")),
    ...     )
    ...     for name, n in (("birds", 50), ("places", 80))
    ... }
    >>> {name: len(part) for name, part in pool(stores, total=61).parts.items()}
    {'birds': 31, 'places': 30}
    >>> len(pool(stores))
    100
    >>> place.cleanup()
    """
    if len(stores) < 2:
        raise InvalidInputError(f"a pool needs two or more stores, got {list(stores)}")
    kinds = {"total": total, "sizes": sizes, "subset": subset}
    given = [name for name, value in kinds.items() if value is not None]
    if len(given) > 1:
        raise InvalidInputError(f"{' and '.join(given)} contradict each other; give one of them")
    opened = {
        checked_name(name): store if isinstance(store, FeatureStore) else FeatureStore.open(store)
        for name, store in stores.items()
    }
    if subset is not None:
        return Pool(opened, {name: one.subset(subset) for name, one in opened.items()}, seed)
    rows = {name: store.rows(split) for name, store in opened.items()}
    counts = _counts(len(opened), min(map(len, rows.values())), total, sizes)
    parts = {}
    for (name, store), count in zip(opened.items(), counts, strict=True):
        if count > len(rows[name]):
            raise InvalidInputError(
                f"{count} images cannot be drawn from {name}, which has {len(rows[name])} in "
                f"{split!r}; ask for fewer"
            )
        (draw,) = SizeDraws((count,), seed=seed).draw(
            rows[name], store.samples.ids, origin={"split": split}
        )
        parts[name] = draw.subset
    return Pool(opened, parts, seed)


def _counts(
    n_stores: int, smallest: int, total: int | None, sizes: Sequence[int] | None
) -> list[int]:
    """How many images each store gives."""
    if sizes is not None:
        if len(sizes) != n_stores:
            raise InvalidInputError(f"{len(sizes)} sizes for {n_stores} stores; give one for each")
        return list(sizes)
    if total is None:
        return [smallest] * n_stores
    share, left = divmod(total, n_stores)
    return [share + (i < left) for i in range(n_stores)]
