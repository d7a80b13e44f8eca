"""iNaturalist: lineages from categories and from folders."""

import json
from itertools import pairwise

import pytest

from featstore.errors import InvalidInputError
from featstore.taxonomies import (
    PUBLISHED,
    RANKS,
    check_published,
    inat_categories,
    inat_folders,
)
from featstore.taxonomy import Taxonomy

# A bird and a plant share the name of their genus.
LINEAGES = [
    "Animalia Chordata Aves Passeriformes Prunellidae Prunella modularis",
    "Animalia Chordata Aves Passeriformes Turdidae Turdus merula",
    "Plantae Tracheophyta Magnoliopsida Lamiales Lamiaceae Prunella vulgaris",
    "Plantae Tracheophyta Magnoliopsida Lamiales Lamiaceae Mentha aquatica",
]
FOLDERS = [f"{i:05d}_{lineage.replace(' ', '_')}" for i, lineage in enumerate(LINEAGES)]


def category(number):
    *ranks, genus, epithet = LINEAGES[number].split()
    return {
        "id": number,
        "name": f"{genus} {epithet}",
        "common_name": "?",
        "supercategory": "?",
        "image_dir_name": FOLDERS[number],
        "specific_epithet": epithet,
        **dict(zip(RANKS[:0:-1], [*ranks, genus], strict=True)),
    }


@pytest.fixture
def categories(tmp_path):
    path = tmp_path / "val.json"
    path.write_text(json.dumps({"categories": [category(i) for i in range(4)], "images": []}))
    return path


def test_folders_and_categories_agree(categories):
    taxonomy = inat_categories(categories)
    assert taxonomy == inat_folders(FOLDERS)
    assert taxonomy.levels == RANKS
    assert taxonomy.is_tree
    assert taxonomy.classes("family") == ("Prunellidae", "Turdidae", "Lamiaceae")
    assert [len(names) for names in taxonomy.names] == [4, 4, 3, 2, 2, 2, 2]


def test_homonyms_are_told_apart_by_their_families(categories):
    genera = inat_folders(FOLDERS).classes("genus")
    assert genera[0].startswith("Prunella (Prunellidae")
    assert genera[2].startswith("Prunella (Lamiaceae")
    assert (genera[1], genera[3]) == ("Turdus", "Mentha")


@pytest.mark.parametrize(
    ("name", "first"), [("name", "Prunella modularis"), ("id", "0"), ("image_dir_name", FOLDERS[0])]
)
def test_classes_are_called_as_you_call_them(categories, name, first):
    assert inat_categories(categories, name=name).names[0][0] == first


def test_a_list_of_categories_alone(tmp_path, categories):
    path = tmp_path / "categories.json"
    path.write_text(json.dumps(json.loads(categories.read_text())["categories"]))
    assert inat_categories(path) == inat_categories(categories)


@pytest.mark.parametrize("text", ["{", '{"images": []}', '[{"name": "a"}]', "[1]", "3", "\x00\x01"])
def test_what_holds_no_categories_is_refused(tmp_path, text):
    path = tmp_path / "val.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="no iNaturalist categories"):
        inat_categories(path)


@pytest.mark.parametrize(
    "name",
    ["hat", "00000_Animalia_Chordata_Aves", "x" + FOLDERS[0], FOLDERS[0].replace("Aves", "")],
)
def test_folders_of_another_form_are_refused(name):
    with pytest.raises(InvalidInputError, match="1 of 5 classes are not named as in iNat21"):
        inat_folders([*FOLDERS, name])


def test_published_numbers_are_checked(categories):
    with pytest.raises(InvalidInputError, match="species 4, not 10000; genus 4, not 4884"):
        check_published(inat_categories(categories), "inat21")
    with pytest.raises(InvalidInputError, match="Did you mean inat21"):
        check_published(inat_categories(categories), "inat")


def test_a_taxonomy_with_the_published_numbers_passes():
    # Numbers only: which taxa these are is what the user's files say.
    counts = PUBLISHED["inat21"]
    names = tuple(tuple(f"{rank} {i}" for i in range(counts[rank])) for rank in RANKS)
    parents = tuple(
        tuple((min(i, len(coarse) - 1),) for i in range(len(fine)))
        for fine, coarse in pairwise(names)
    )
    check_published(Taxonomy(RANKS, names, parents), "inat21")
