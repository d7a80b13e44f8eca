"""iNaturalist: the tree of life, from the categories of a competition or the names of folders."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from featstore.ancestors import named
from featstore.errors import InvalidInputError
from featstore.taxonomy import Taxonomy

RANKS = ("species", "genus", "family", "order", "class", "phylum", "kingdom")
"""Levels of the tree of life, finest first, as iNaturalist's competitions name them."""


def inat_categories(
    path: str | Path, *, name: Literal["image_dir_name", "name", "id"] = "image_dir_name"
) -> Taxonomy:
    """Read the categories of an iNaturalist competition.

    Parameters
    ----------
    path
        The JSON of a split: ``val.json`` of iNat21 has the categories of ``train.json`` and is
        smaller; or JSON with the list of categories alone.
    name
        Field that the classes of your target are called by; ``"image_dir_name"`` if they were
        taken from folders.

    Returns
    -------
    taxonomy
        Levels as `RANKS`.  A taxon whose name another one of its rank bears too (a plant and a
        bird) has the next higher one behind it in brackets.

    Raises
    ------
    InvalidInputError
        If the file holds no such categories.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
        categories = document["categories"] if isinstance(document, Mapping) else document
        lineages = [_lineage(category, name) for category in categories]
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{path} holds no iNaturalist categories with {name}, {', '.join(RANKS[1:])}: {error!r}"
        ) from error
    return _taxonomy(lineages)


def inat_folders(names: Sequence[str]) -> Taxonomy:
    """Take the lineages from names such as those of iNat21's folders.

    Parameters
    ----------
    names
        Of the classes: number, kingdom, phylum, class, order, family, genus and epithet, joined by
        underscores.

    Returns
    -------
    taxonomy
        As `inat_categories` returns it.

    Raises
    ------
    InvalidInputError
        If a name has another form.

    Examples
    --------
    >>> taxonomy = inat_folders([
    ...     "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris",
    ...     "09999_Plantae_Tracheophyta_Polypodiopsida_Schizaeales_Lygodiaceae_Lygodium_japonicum"])
    >>> taxonomy.classes("class"), taxonomy.classes("kingdom")
    (('Clitellata', 'Polypodiopsida'), ('Animalia', 'Plantae'))
    """
    parts = [name.split("_", len(RANKS)) for name in names]
    if strange := [name for name, p in zip(names, parts, strict=True) if not _is_lineage(p)]:
        raise InvalidInputError(
            f"{len(strange)} of {len(names)} classes are not named as in iNat21 "
            f"(number_kingdom_phylum_class_order_family_genus_epithet): {named(strange)}"
        )
    return _taxonomy([(name, *p[-2:0:-1]) for name, p in zip(names, parts, strict=True)])


def _is_lineage(parts: Sequence[str]) -> bool:
    return len(parts) == len(RANKS) + 1 and parts[0].isdecimal() and all(parts)


def _lineage(category: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return (str(category[name]), *(str(category[rank]) for rank in RANKS[1:]))


def _taxonomy(lineages: Sequence[tuple[str, ...]]) -> Taxonomy:
    """Build from (class, genus, ..., kingdom), each taxon told apart by its lineage."""
    columns: dict[str, list[str]] = {RANKS[0]: [lineage[0] for lineage in lineages]}
    for i, rank in enumerate(RANKS[1:], 1):
        taxa = [lineage[i:] for lineage in lineages]
        bearers = Counter(taxon[0] for taxon in set(taxa))
        columns[rank] = [
            taxon[0] if bearers[taxon[0]] == 1 else f"{taxon[0]} ({', '.join(taxon[1:])})"
            for taxon in taxa
        ]
    return Taxonomy.from_frame(pd.DataFrame(columns))
