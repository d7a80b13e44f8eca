"""Taxonomies: built from tables, refused when contradictory, coarsened consistently."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.taxonomy import Taxonomy

ITEMS = {
    "upper body": ["dress", "longsleeve", "outwear", "shirt", "t-shirt"],
    "lower body": ["pants", "shorts", "skirt"],
    "accessories": ["hat", "shoes"],
}
CLOTHING = pd.DataFrame(
    [(item, part, "clothes") for part, items in ITEMS.items() for item in items],
    columns=["item", "part", "all"],
)


@st.composite
def taxonomies(draw):
    """Random trees of two to four levels."""
    n = draw(st.integers(1, 12))
    columns = {"level 0": [f"a{code}" for code in range(n)]}
    codes = np.arange(n)
    for level in range(1, draw(st.integers(2, 4))):
        parents = draw(st.lists(st.integers(0, 3), min_size=max(n, 4), max_size=max(n, 4)))
        codes = np.array(parents)[codes]
        columns[f"level {level}"] = [f"{'abcd'[level]}{code}" for code in codes]
    return Taxonomy.from_frame(pd.DataFrame(columns))


def test_clothes_by_part_of_the_body():
    taxonomy = Taxonomy.from_frame(CLOTHING)
    assert taxonomy.levels == ("item", "part", "all")
    coarse, codes = taxonomy.coarsen(["hat", "shirt", "skirt", "shoes"], "part")
    assert coarse == ("accessories", "upper body", "lower body")
    assert codes.tolist() == [0, 1, 2, 0]
    assert taxonomy.classes("all") == ("clothes",)


@given(taxonomy=taxonomies(), data=st.data())
def test_coarsening_twice_is_coarsening_once(taxonomy, data):
    classes = data.draw(st.permutations(taxonomy.names[0]))
    for i, middle in enumerate(taxonomy.levels):
        names, codes = taxonomy.coarsen(classes, middle)
        assert [names[code] for code in codes] == list(
            taxonomy.to_frame()
            .set_index(taxonomy.levels[0])
            .loc[list(classes)]
            .reset_index()[middle]
        )
        for level in taxonomy.levels[i:]:
            coarse, direct = taxonomy.coarsen(classes, level)
            coarse_again, step = taxonomy.coarsen(names, level, of=middle)
            assert coarse_again == coarse
            np.testing.assert_array_equal(step[codes], direct)


@given(taxonomy=taxonomies())
def test_levels_never_gain_classes_and_the_finest_is_the_identity(taxonomy):
    counts = [len(taxonomy.coarsen(taxonomy.names[0], level)[0]) for level in taxonomy.levels]
    assert counts == sorted(counts, reverse=True)
    shuffled = taxonomy.names[0][::-1]
    names, codes = taxonomy.coarsen(shuffled, taxonomy.levels[0])
    assert names == shuffled
    np.testing.assert_array_equal(codes, np.arange(len(shuffled)))


@given(taxonomy=taxonomies())
def test_round_trips(taxonomy):
    assert Taxonomy.from_json(json.loads(json.dumps(taxonomy.to_json()))) == taxonomy
    assert Taxonomy.from_frame(taxonomy.to_frame()) == taxonomy


def test_csv_cells_are_text(tmp_path):
    path = tmp_path / "levels.csv"
    path.write_text('\ufeffitem,part\n007,NA\n" hat ",head\n7,NA\n', encoding="utf-8")
    taxonomy = Taxonomy.from_csv(path)
    assert taxonomy.names == (("007", "hat", "7"), ("NA", "head"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item;part\nhat;head\n", "separated by commas"),
        ("item,part\nhat,head,extra\n", "have not the 2 cells"),
        ("item,part\nhat\n", "have not the 2 cells"),
        ("item,part\n", "0 rows"),
        ("", "0 rows"),
        ("item,item\nhat,head\n", "its own name"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text, message):
    path = tmp_path / "levels.csv"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        Taxonomy.from_csv(path)


def test_a_binary_file_is_refused_and_the_path_is_noted(tmp_path):
    path = tmp_path / "levels.csv"
    path.write_bytes(b"\xff\xfe\x00\x00item")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        Taxonomy.from_csv(path)
    path.write_text("item,part\nhat,\n")
    with pytest.raises(InvalidInputError) as caught:
        Taxonomy.from_csv(path)
    assert str(path) in caught.value.__notes__[0]


def frame(*rows):
    return pd.DataFrame(rows, columns=["species", "genus", "family"][: len(rows[0])])


def test_a_blank_ancestor_names_the_class():
    with pytest.raises(InvalidInputError, match="'genus' is given for 1 of 2 classes: 'robin'"):
        Taxonomy.from_frame(frame(("robin", " "), ("wren", "Troglodytes")))
    with pytest.raises(InvalidInputError, match=r"'genus' .* 'robin'"):
        Taxonomy.from_frame(frame(("robin", None), ("wren", "Troglodytes")))


def test_a_class_listed_twice_may_repeat_but_not_contradict():
    repeated = frame(("robin", "Erithacus"), ("robin", "Erithacus"))
    assert Taxonomy.from_frame(repeated).names[0] == ("robin",)
    with pytest.raises(InvalidInputError, match=r"species 'robin' has two parents .* 'Turdus'"):
        Taxonomy.from_frame(frame(("robin", "Erithacus"), ("robin", "Turdus")))


def test_a_level_that_does_not_coarsen_names_the_class_with_two_parents():
    # A plant genus and a bird genus share this name.
    with pytest.raises(InvalidInputError, match="genus 'Prunella' has two parents"):
        Taxonomy.from_frame(
            frame(("selfheal", "Prunella", "Lamiaceae"), ("dunnock", "Prunella", "Prunellidae"))
        )


def test_missing_classes_are_counted_and_near_names_suggested():
    taxonomy = Taxonomy.from_frame(CLOTHING)
    with pytest.raises(InvalidInputError, match="2 of 3 classes are missing") as caught:
        taxonomy.coarsen(["tshirt", "hat", "zebra"], "part")
    assert "'tshirt' (did you mean 't-shirt'?)" in str(caught.value)
    assert "'zebra'" in str(caught.value)


def test_unknown_and_finer_levels_are_refused():
    taxonomy = Taxonomy.from_frame(CLOTHING)
    with pytest.raises(FeatureNotFoundError, match="item, part, all"):
        taxonomy.coarsen(["hat"], "genus")
    with pytest.raises(InvalidInputError, match="only be coarsened"):
        taxonomy.coarsen(["accessories"], "item", of="part")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": ["item"]}, "at least two"),
        ({"parents": []}, "all but the last"),
        ({"names": [["hat", "hat"], ["head"]]}, "more than once"),
        ({"parents": [[[0]]]}, "2 classes and 1 parents"),
        ({"parents": [[[0], []]]}, "at least one is needed"),
        ({"parents": [[[0], [1, 1]]]}, "each once"),
        ({"names": [["hat", "shirt"], []]}, "every level has classes"),
        ({"parents": [[[0], [2]]]}, "parents \\[2\\] of 2 in level 'part'"),
    ],
)
def test_stored_taxonomies_are_checked(change, message):
    fields = {
        "levels": ["item", "part"],
        "names": [["hat", "shirt"], ["head", "body"]],
        "parents": [[[0], [1]]],
    }
    assert Taxonomy.from_json(fields).classes("part") == ("head", "body")
    with pytest.raises(InvalidInputError, match=message):
        Taxonomy.from_json(fields | change)


# Several parents


@st.composite
def graphs(draw):
    """Random layered graphs of two to four levels, as one row per way up."""
    widths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    ways = [[f"0.{i}"] for i in range(widths[0])]
    for level, width in enumerate(widths[1:], 1):
        choice = st.lists(st.integers(0, width - 1), min_size=1, max_size=3, unique=True)
        above = {name: draw(choice) for name in sorted({way[-1] for way in ways})}
        ways = [[*way, f"{level}.{parent}"] for way in ways for parent in above[way[-1]]]
    return pd.DataFrame(ways, columns=[f"level {i}" for i in range(len(widths))])


@settings(max_examples=40, deadline=None)
@given(frame=graphs())
def test_ancestors_are_those_of_all_ways_up(frame):
    taxonomy = Taxonomy.from_frame(frame, multiple_parents=True)
    ways, classes = frame.to_dict("records"), taxonomy.names[0][::-1]
    for i, level in enumerate(taxonomy.levels):
        for of in taxonomy.levels[: i + 1]:
            start = taxonomy.names[taxonomy.position(of)][::-1]
            names, belongs = taxonomy.ancestors(start, level, of=of)
            above = {}
            for way in ways:
                above.setdefault(way[of], []).append(way[level])
            for row, name in zip(belongs.toarray(), start, strict=True):
                found = {names[column] for column in np.flatnonzero(row)}
                assert found == set(above[name])
            if (belongs.sum(axis=1) == 1).all():
                coarse, codes = taxonomy.coarsen(start, level, of=of)
                assert [coarse[code] for code in codes] == [above[name][0] for name in start]
            else:
                with pytest.raises(InvalidInputError, match="belong to several classes"):
                    taxonomy.coarsen(start, level, of=of)
    assert [lineage.shape[1] for lineage in taxonomy.lineage(classes)] == [
        len(names) for names in taxonomy.names
    ]


@given(frame=graphs())
def test_round_trips_of_graphs(frame):
    taxonomy = Taxonomy.from_frame(frame, multiple_parents=True)
    assert Taxonomy.from_json(json.loads(json.dumps(taxonomy.to_json()))) == taxonomy
    assert Taxonomy.from_frame(taxonomy.to_frame(), multiple_parents=True) == taxonomy
    assert taxonomy.is_tree == (len(frame) == len(taxonomy.names[0]))


def test_the_primary_parent_is_the_first(tmp_path):
    path = tmp_path / "scenes.csv"
    path.write_text("scene,type,kind\nbarn,farm,built\nbarn,field,natural\nlake,water,natural\n")
    taxonomy = Taxonomy.from_csv(path, multiple_parents=True)
    assert not taxonomy.is_tree
    tree = taxonomy.primary()
    assert tree.is_tree
    coarse, codes = tree.coarsen(["barn", "lake"], "kind")
    assert [coarse[code] for code in codes] == ["built", "natural"]
    with pytest.raises(InvalidInputError, match="multiple-parents"):
        Taxonomy.from_csv(path)


def test_files(tmp_path):
    frame = pd.DataFrame({"scene": ["barn", "barn"], "type": ["farm", "field"]})
    taxonomy = Taxonomy.from_frame(frame, multiple_parents=True)
    taxonomy.to_file(tmp_path / "scenes.json")
    assert Taxonomy.from_file(tmp_path / "scenes.json") == taxonomy
    CLOTHING.to_csv(tmp_path / "clothing.csv", index=False)
    assert Taxonomy.from_file(tmp_path / "clothing.csv") == Taxonomy.from_frame(CLOTHING)


@pytest.mark.parametrize("text", ["{", "[]", '{"levels": ["a", "b"]}', "\x00", "3"])
def test_json_that_is_no_taxonomy_is_refused(tmp_path, text):
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="is no taxonomy"):
        Taxonomy.from_file(path)
