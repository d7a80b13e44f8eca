"""Places365: the scene hierarchy's table with classes of several types, and the official lists."""

import csv
from pathlib import Path

import pytest

from featstore.errors import InvalidInputError
from featstore.taxonomies import check_published, places365, places365_indoor

OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "places365"

# Two header rows and quoted names, as the official table has them; titles span several columns.
TITLES = ["", "Level 1", "", "", "Level 2, INDOOR:", "", "Level 2, OUTDOOR NATURAL:"]
TITLES += ["", "Level 2, OUTDOOR MAN-MADE:"]
COLUMNS = ["category", "indoor", "outdoor, natural", "outdoor, man-made", "home or hotel"]
COLUMNS += ["workplace", "water, ice, snow", "forest, field, jungle", "houses, gardens, and farms"]
SCENES = {
    "'/a/attic'": "1 0 0 1 0 0 0 0",
    "'/o/office'": "1 0 0 0 1 0 0 0",
    "'/b/barn'": "0 1 1 0 0 0 1 1",
    "'/l/lake/natural'": "0 1 0 0 0 1 0 0",
}


def write(folder, scenes=None, titles=TITLES):
    path = folder / "hierarchy.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([titles, COLUMNS])
        for scene, marks in (scenes or SCENES).items():
            writer.writerow([scene, *marks.split()])
    return path


def test_scenes_types_and_kinds(tmp_path):
    taxonomy = places365(write(tmp_path))
    assert taxonomy.levels == ("Depth 2", "Depth 1", "Depth 0")
    assert taxonomy.names[0] == ("/a/attic", "/o/office", "/b/barn", "/l/lake/natural")
    assert not taxonomy.is_tree
    kinds, belongs = taxonomy.ancestors(["/b/barn", "/a/attic"], "Depth 0")
    assert kinds == ("outdoor, natural", "outdoor, man-made", "indoor")
    assert belongs.toarray().tolist() == [[True, True, False], [False, False, True]]
    coarse, _ = taxonomy.primary().coarsen(["/b/barn"], "Depth 1")
    assert coarse == ("forest, field, jungle",)


def test_scenes_are_found_however_they_are_written(tmp_path):
    path = write(tmp_path)
    for name in ("/l/lake/natural", "lake/natural", "lake-natural", "lake_natural"):
        taxonomy = places365(path, [name, "attic"])
        assert taxonomy.names[0] == (name, "attic")
        assert taxonomy.names[1] == ("water, ice, snow", "home or hotel")
    with pytest.raises(InvalidInputError, match=r"1 of 2 classes are no scenes .* 'hat'"):
        places365(path, ["barn", "hat"])


def test_contradictions_between_the_levels_are_said(tmp_path):
    path = write(tmp_path, SCENES | {"'/a/attic'": "0 1 0 1 0 0 0 0"})
    with pytest.warns(UserWarning, match=r"gives 1 scenes other kinds .* '/a/attic'"):
        taxonomy = places365(path)
    assert taxonomy.ancestors(["/a/attic"], "Depth 0")[0] == ("indoor",)


def test_other_tables_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"1 scenes .* have no type: '/a/attic'"):
        places365(write(tmp_path, SCENES | {"'/a/attic'": "1 0 0 0 0 0 0 0"}))
    with pytest.raises(InvalidInputError, match="title of none of the kinds"):
        places365(write(tmp_path, titles=[*TITLES[:-1], "Level 2, UNDERGROUND:"]))
    with pytest.raises(InvalidInputError, match="is not the scene hierarchy"):
        places365(write(tmp_path, titles=["a"] * len(TITLES)))
    with pytest.raises(InvalidInputError, match="other numbers of classes than published"):
        check_published(places365(write(tmp_path)), "places365")


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official lists are not beside this checkout")
def test_the_official_list_of_indoor_scenes():
    taxonomy = places365_indoor(OFFICIAL / "IO_places365.txt")
    categories = [
        line.split()[0] for line in (OFFICIAL / "categories_places365.txt").read_text().splitlines()
    ]
    assert taxonomy.names[0] == tuple(categories)
    kinds, codes = taxonomy.coarsen(categories, "kind")
    indoor = sum(kinds[code] == "indoor" for code in codes)
    assert (len(categories), indoor) == (365, 160)
    folders = [name[3:].replace("/", "-") for name in categories]
    assert places365_indoor(OFFICIAL / "IO_places365.txt", folders).names[0] == tuple(folders)
