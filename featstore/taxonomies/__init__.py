"""Taxonomies: from lists of parents, WordNet, iNaturalist, Places365 and nested folders.

Tables with a column for each level are read by `featstore.taxonomy.Taxonomy.from_csv`.
"""

from __future__ import annotations

from featstore.taxonomies.folders import from_folders, from_paths
from featstore.taxonomies.imagenet import imagenet
from featstore.taxonomies.inat import RANKS, inat_categories, inat_folders
from featstore.taxonomies.parents import from_parents, parent_table
from featstore.taxonomies.places365 import places365, places365_indoor
from featstore.taxonomies.published import PUBLISHED, check_published
from featstore.taxonomies.wordnet import WordNet

__all__ = [
    "PUBLISHED",
    "RANKS",
    "WordNet",
    "check_published",
    "from_folders",
    "from_parents",
    "from_paths",
    "imagenet",
    "inat_categories",
    "inat_folders",
    "parent_table",
    "places365",
    "places365_indoor",
]
