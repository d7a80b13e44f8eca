"""ImageNet: its classes are synsets of WordNet 3.0."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from featstore.errors import MissingDependencyError
from featstore.taxonomies.wordnet import WordNet
from featstore.taxonomy import Taxonomy


def imagenet(
    wordnet: WordNet | str | Path,
    classes: Sequence[str] | None = None,
    *,
    parents: Literal["first", "all"] = "first",
) -> Taxonomy:
    """Coarsen ImageNet's classes along WordNet (Cole et al. 2022, C.3).

    Parameters
    ----------
    wordnet
        WordNet 3.0, or where it is; see `WordNet.read`.
    classes
        Synsets such as n01440764, in the order of their codes; by default the 1,000 of ILSVRC 2012,
        from timm's list.
    parents
        See `WordNet.taxonomy`; the paper does not say what it does with several hypernyms.

    Raises
    ------
    InvalidInputError
        If WordNet cannot be read, or a class is none of its synsets.
    MissingDependencyError
        If no classes are given and timm is not installed.
    """
    if classes is None:
        classes = _ilsvrc2012()
    if not isinstance(wordnet, WordNet):
        wordnet = WordNet.read(wordnet)
    return wordnet.taxonomy(classes, parents=parents)


def _ilsvrc2012() -> list[str]:
    # The package is not imported: it would bring torch.
    spec = find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            'the list of ImageNet\'s classes comes with timm; run: pip install "featstore[timm]", '
            "or pass the classes"
        )
    folder = Path(spec.submodule_search_locations[0])
    return (folder / "data" / "_info" / "imagenet_synsets.txt").read_text().split()
