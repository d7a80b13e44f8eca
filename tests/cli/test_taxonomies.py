"""`featstore taxonomy` and what `featstore granularity` does with more than a tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from digits_store import digits
from small_store import fill

from featstore.cli.main import group
from featstore.samples import Samples, Target
from featstore.store import FeatureStore
from featstore.taxonomies import RANKS
from featstore.taxonomy import Taxonomy

FOLDER = "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris"
OTHER = "09999_Plantae_Tracheophyta_Polypodiopsida_Schizaeales_Lygodiaceae_Lygodium_japonicum"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def run_json(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def levels(document: Any) -> dict[str, int]:
    return {row["level"]: row["n_classes"] for row in document["levels"]}


def test_a_table_with_several_parents(tmp_path: Path) -> None:
    table, out = tmp_path / "scenes.csv", tmp_path / "scenes.json"
    table.write_text("scene,type\nbarn,farm\nbarn,field\nlake,water\n")
    assert "two parents" in refused("taxonomy", "csv", table)
    document = run_json("taxonomy", "csv", table, "--multiple-parents", "--out", out)
    assert levels(document) == {"scene": 2, "type": 3}
    assert document["levels"][0]["with_several_parents"] == 1
    assert not Taxonomy.from_file(out).is_tree
    shown = run("taxonomy", "csv", table, "--multiple-parents")
    assert "with_several_parents" in shown.stdout
    assert "nothing was written" in shown.stderr


def test_parents_and_folders(tmp_path: Path) -> None:
    table = tmp_path / "parents.csv"
    table.write_text("node,parent\nwren,bird\nowl,bird\nbird,animal\nbat,animal\n")
    assert levels(run_json("taxonomy", "parents", table)) == {"Depth 2": 3, "Depth 1": 2}
    for path in ("images/bird/wren", "images/bird/owl", "images/bat"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "1.jpg").touch()
    found = run_json("taxonomy", "folders", tmp_path / "images")
    assert levels(found) == {"Depth 1": 3, "Depth 0": 2}


def test_inat_and_its_published_numbers(tmp_path: Path) -> None:
    for name in (FOLDER, OTHER):
        (tmp_path / name).mkdir()
    assert levels(run_json("taxonomy", "inat-folders", tmp_path))["kingdom"] == 2
    message = refused("taxonomy", "inat-folders", tmp_path, "--check", "inat21")
    assert "species 2, not 10000" in message


@pytest.mark.parametrize("field", ["image_dir_name", "name", "id"])
def test_inat_classes_are_called_as_in_the_store(tmp_path: Path, field: str) -> None:
    categories = []
    for i, folder in enumerate((FOLDER, OTHER)):
        _, *lineage, genus, epithet = folder.split("_")
        ranks = dict(zip(RANKS[:0:-1], [*lineage, genus], strict=True))
        names = {"id": i, "name": f"{genus} {epithet}", "image_dir_name": folder}
        categories.append(ranks | names)
    path, store = tmp_path / "val.json", tmp_path / "s.zarr"
    path.write_text(json.dumps({"categories": categories}))
    targets = {"label": Target.from_labels([str(taxon[field]) for taxon in categories])}
    FeatureStore.create(store, Samples(np.array(["a", "b"]), np.array(["", ""]), targets))
    out = tmp_path / "inat.json"
    found = run_json("taxonomy", "inat", path, "--for", store, "--out", out)
    assert levels(found) == dict.fromkeys(RANKS, 2)
    assert Taxonomy.from_file(out).names[0] == targets["label"].classes


def test_classes_that_a_taxonomy_lacks_are_named(tmp_path: Path) -> None:
    store, table, places = tmp_path / "s.zarr", tmp_path / "t.csv", tmp_path / "IO.txt"
    targets = {"label": Target.from_labels(["barn", "lake"])}
    FeatureStore.create(store, Samples(np.array(["a", "b"]), np.array(["", ""]), targets))
    table.write_text("scene,type\nbarn,farm\n")
    assert "1 of 2 classes are missing" in refused("taxonomy", "csv", table, "--for", store)
    places.write_text("/b/barn 2\n/l/lake/natural 2\n/l/lake 2\n/a/attic 1\n")
    message = refused(
        "taxonomy", "places365-indoor", places, "--for", store, "--check", "places365"
    )
    assert "Depth 2 0, not 365" in message
    assert levels(run_json("taxonomy", "places365-indoor", places)) == {"scene": 4, "kind": 2}


def test_contradictions_in_a_table_are_notes(tmp_path: Path) -> None:
    table = tmp_path / "places.csv"
    table.write_text(
        ',Level 1,,"Level 2, INDOOR:","Level 2, OUTDOOR:"\ncategory,indoor,outdoor,home,field\n'
        "'/a/attic',0,1,1,0\n'/b/barn',0,1,0,1\n"
    )
    result = run("taxonomy", "places365", table)
    assert result.exit_code == 0
    assert "note: Level 1 of the table gives 1 scenes other kinds" in result.stderr


def test_imagenet(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(
        "00000001 03 n 01 entity 0 000 | all\n"
        "00000002 03 n 01 animal 0 001 @ 00000001 n 0000 | a\n"
        "00000003 03 n 01 tool 0 001 @ 00000001 n 0000 | t\n"
        "00000004 03 n 01 dog 0 002 @ 00000002 n 0000 @ 00000003 n 0000 | d\n"
    )
    store = tmp_path / "s.zarr"
    ids = np.array(["a", "b"])
    targets = {"label": Target.from_labels(["n00000004", "n00000003"])}
    FeatureStore.create(store, Samples(ids, np.array(["", ""]), targets))
    assert levels(run_json("taxonomy", "imagenet", tmp_path, "--for", store)) == {
        "Depth 2": 2,
        "Depth 1": 2,
    }
    all_parents = run_json("taxonomy", "imagenet", tmp_path, "--for", store, "--multiple-parents")
    assert all_parents["levels"][0]["with_several_parents"] == 1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with runs on two features, and one trained on the parity of digits."""
    X, y = digits()
    targets = {
        "digit": Target.from_labels([f"digit {d}" for d in y]),
        "parity": Target.from_labels(["even" if d % 2 == 0 else "odd" for d in y]),
    }
    splits = np.asarray(["train"] * 1000 + ["test"] * 797)
    path = tmp_path_factory.mktemp("levels") / "digits.zarr"
    made = FeatureStore.create(path, Samples(np.arange(1797).astype(str), splits, targets))
    fill(made, "pixels", X)
    fill(made, "rows", X.reshape(-1, 8, 8).mean(axis=2))
    for name, feature, target in (
        ("pixels", "pixels", "digit"),
        ("rows", "rows", "digit"),
        ("coarse", "pixels", "parity"),
    ):
        run_json(
            *("probe", path, "--features", feature, "--target", target),
            *("--value", "0.1", "--name", name),
        )
    return path


@pytest.fixture(scope="module")
def taxonomy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return digits by their parity."""
    rows = [(f"digit {d}", "even" if d % 2 == 0 else "odd", "number") for d in range(10)]
    frame = pd.DataFrame(rows, columns=["digit", "parity", "all"])
    path = tmp_path_factory.mktemp("taxonomy") / "digits.json"
    Taxonomy.from_frame(frame).to_file(path)
    return path


def test_the_gap_between_two_runs(store: Path, taxonomy: Path) -> None:
    arguments = ("granularity", store, "--taxonomy", taxonomy, "--against", "rows")
    document = run_json(*arguments)
    (gap,) = document["gaps"]
    assert (gap["run"], gap["against"], gap["opens_at"]) == ("pixels", "rows", "parity")
    assert {row["run"] for row in document["levels"]} == {"pixels", "rows"}
    opened = FeatureStore.open(store)
    accuracy = {
        name: opened.run(name).granularity(taxonomy, n_boot=0) for name in ("pixels", "rows")
    }
    for i, row in enumerate(gap["levels"]):
        values = [accuracy[name]["accuracy"][i] for name in ("pixels", "rows")]
        assert row["gap"] == pytest.approx(values[0] - values[1])
    shown = run(*arguments).stdout
    assert "b is better from digit up to parity; at all the gap cannot be told from 0" in shown
    assert "no run 'row'" in refused(*arguments[:-1], "row")


def test_severity_and_a_run_that_was_trained_coarse(store: Path, taxonomy: Path) -> None:
    arguments = ("granularity", store, "--taxonomy", taxonomy, "--run", "pixels", "--severity")
    document = run_json(*arguments, "--trained", "coarse", "--level", "parity")
    height = {row["metric"]: row["value"] for row in document["severity"]}["mean_height"]
    assert height == pytest.approx(sum(1 - row["accuracy"] for row in document["levels"]))
    (found,) = document["trained"]
    assert (found["run"], found["trained"]) == ("pixels", "coarse")
    assert found["value_a"] == pytest.approx(document["levels"][1]["accuracy"])
    assert found["value_b"] == pytest.approx(FeatureStore.open(store).run("coarse").accuracy)
    shown = run(*arguments, "--trained", "coarse", "--level", "parity").stdout
    assert "mistake_severity" in shown
    assert "b: coarse, trained on parity" in shown
    assert "go together" in refused(*arguments, "--level", "parity")


def test_runs_of_a_coarser_level(store: Path, taxonomy: Path) -> None:
    rows = run_json("granularity", store, "--taxonomy", taxonomy, "--of", "parity")
    assert [(row["run"], row["level"]) for row in rows] == [("coarse", "parity"), ("coarse", "all")]


def test_several_parents_or_the_primary_one(store: Path, tmp_path: Path) -> None:
    kinds = {0: "ring", 6: "ring hook", 8: "ring", 9: "ring hook"}
    rows = [(f"digit {d}", kind) for d in range(10) for kind in kinds.get(d, "open").split()]
    path = tmp_path / "kinds.json"
    frame = pd.DataFrame(rows, columns=["digit", "kind"])
    Taxonomy.from_frame(frame, multiple_parents=True).to_file(path)
    arguments = ("granularity", store, "--taxonomy", path, "--run", "rows")
    meets, primary = run_json(*arguments), run_json(*arguments, "--primary-parents")
    assert (meets[1]["n_classes"], primary[1]["n_classes"]) == (3, 2)
    assert meets[0] == primary[0]
    saved = run_json(*arguments, "--save", "kinds")
    assert saved == meets
    assert run_json("granularity", store, "--taxonomy", "kinds", "--run", "rows") == meets
