"""Subsets in a store: saved once, verified, trained on, and written down for others."""

from __future__ import annotations

import csv
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from sklearn.linear_model import LogisticRegression

import featstore as fs
from featstore.compaction import compact
from featstore.differences import diff
from featstore.errors import CorruptStoreError, FeatureNotFoundError, InvalidInputError
from featstore.exports.manifest import Entry, export_subset
from featstore.exports.web_dataset import write_shards
from featstore.removal import remove
from featstore.run_config import RunConfig
from featstore.store import FeatureStore

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return make_digits_store(tmp_path / "d.zarr", val=200)


def test_saved_subsets_come_back_as_they_were(store: FeatureStore) -> None:
    drawn = fs.draw_subsets(store, fs.SizeDraws((50, 200), stratified=True, seed=3))
    drawn |= fs.draw_subsets(store, fs.ShotDraws((2,), draws=2))
    drawn |= fs.draw_subsets(store, fs.ClassDraws(((5, 40), (10, 20))))
    assert sorted(drawn) == store.subsets == sorted(fs.open(store.path).subsets)
    for name, subset in drawn.items():
        again = fs.open(store.path).subset(name)
        np.testing.assert_array_equal(again.rows, subset.rows)
        assert (again.digest, again.seed) == (subset.digest, subset.seed)
        assert again.recipe == subset.recipe
        assert (store.samples.splits[again.rows] == "train").all()
    assert fs.verify(store) == []


def test_a_stored_draw_has_the_rows_of_few_shot(store: FeatureStore) -> None:
    drawn = fs.draw_subsets(store, fs.ShotDraws((1, 3), draws=2), save=False)
    result = fs.few_shot(store, "pixels", shots=[1, 3], draws=2, value=1, n_boot=0)
    assert set(result.draws["digest"]) == {subset.digest for subset in drawn.values()}
    assert store.subsets == []


def test_the_same_command_twice_does_nothing_and_other_rows_are_refused(
    store: FeatureStore,
) -> None:
    plan = fs.SizeDraws((50, 100))
    fs.draw_subsets(store, plan)
    before = (store.path / "subsets/50/zarr.json").stat()
    fs.draw_subsets(store, plan)
    assert (store.path / "subsets/50/zarr.json").stat() == before
    with pytest.raises(InvalidInputError, match="subsets stay what they are"):
        fs.draw_subsets(store, fs.SizeDraws((20, 50), seed=1))
    assert store.subsets == ["100", "50"]  # none of the other command
    fs.draw_subsets(store, fs.SizeDraws((50,), seed=1), prefix="other-")
    assert "other-50" in store.subsets
    with pytest.raises(InvalidInputError, match="choose another name"):
        store.save_subset("50", store.subset("100"))


def test_stores_of_earlier_versions_take_subsets(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "tests/data/format_1.zarr", tmp_path / "old.zarr")
    old = fs.open(tmp_path / "old.zarr")
    assert old.subsets == []
    fs.draw_subsets(old, fs.SizeDraws((2,)), split=None)
    assert old.subsets == ["2"]
    assert [found for found in fs.verify(old) if "subset" in found.place] == []


def damaged(store: FeatureStore, name: str) -> Iterator[Path]:
    yield store.path / "subsets" / name / "rows/c/0"
    yield store.path / "subsets" / name / "zarr.json"


def test_verify_finds_every_damage(store: FeatureStore) -> None:
    fs.draw_subsets(store, fs.SizeDraws((50,)))
    for path in damaged(store, "50"):
        whole = path.read_bytes()
        path.write_bytes(whole[:-9] + b"\1" + whole[-8:])
        (found,) = fs.verify(store)
        assert found.place.startswith("subsets/50")
        assert any("featstore subset" in line for line in found.advice)
        path.write_bytes(whole)
    assert fs.verify(store) == []


def test_verify_knows_a_subset_by_its_rows(store: FeatureStore) -> None:
    from featstore.subset import Subset

    genuine = fs.draw_subsets(store, fs.SizeDraws((50,)))["50"]
    forged = Subset(genuine.rows[:-1], genuine.recipe, genuine.seed, genuine.digest)
    store.save_subset("forged", forged)
    (found,) = fs.verify(store)
    assert (found.place, "another digest" in found.problem) == ("subsets/forged", True)
    store.save_subset("outside", Subset(np.asarray([5000]), {}, 0, ""))
    with pytest.raises(CorruptStoreError, match="not ascending rows"):
        store.subset("outside")


def test_subsets_are_removed_compared_and_kept_by_compaction(
    store: FeatureStore, tmp_path: Path
) -> None:
    other = make_digits_store(tmp_path / "e.zarr", val=200)
    fs.draw_subsets(store, fs.SizeDraws((50, 60)))
    fs.draw_subsets(other, fs.SizeDraws((50,), seed=1))
    found = diff(store, other)
    assert "subsets/60" in found.only_a
    assert [member.place for member in found.members] == ["subsets/50"]
    compact(store, older_than=0)
    assert store.subsets == ["50", "60"]
    (removed,) = remove(store, ["50"], kind="subset")
    assert (removed.kind, removed.files > 2, store.subsets) == ("subset", True, ["60"])
    with pytest.raises(FeatureNotFoundError, match="no subset '50'"):
        store.subset("50")


def test_a_probe_is_fitted_to_nothing_but_the_subset(store: FeatureStore) -> None:
    fs.draw_subsets(store, fs.SizeDraws((120,), stratified=True))
    run = fs.probe(store, "pixels", value=1, train_subset="120", n_boot=0)
    subset = store.subset("120")
    X, y = digits()
    reference = LogisticRegression(C=1, max_iter=5000, tol=1e-8)
    reference.fit(X[subset.rows], y[subset.rows])
    assert run.accuracy == pytest.approx(reference.score(X[1200:], y[1200:]), abs=2 / 597)
    config = fs.open(store.path).run(run.name).config
    assert (config.n_train, config.train_split) == (120, "train")
    assert (config.train_subset, config.train_subset_digest) == ("120", subset.digest)
    # The validation split chooses, and stays out of the fit.
    chosen = fs.probe(store, "pca", probe="ridge", train_subset="120", n_boot=0, save=False)
    assert (chosen.config.selected_on, chosen.config.n_train) == ("val", 120)
    folds = fs.probe(
        store, "pca", probe="ridge", train_subset="120", select="kfold", n_boot=0, save=False
    )
    assert (folds.config.n_train, "val" in folds.config.selected_on) == (120, False)


def test_runs_without_a_subset_keep_their_names(store: FeatureStore) -> None:
    from featstore.run_name import run_name

    run = fs.probe(store, "pca", value=1, n_boot=0, save=False)
    fields = {**vars(run.config)}
    del fields["train_subset"], fields["train_subset_digest"]
    assert run_name(RunConfig.from_json(fields)) == run.name


def test_subsets_that_are_no_training_rows_are_refused(store: FeatureStore) -> None:
    fs.draw_subsets(store, fs.SizeDraws((500,)), split=None, prefix="any-")
    with pytest.raises(InvalidInputError, match="are not in the split 'train'"):
        fs.probe(store, "pixels", value=1, train_subset="any-500")
    fs.draw_subsets(store, fs.SizeDraws((50,)))
    with pytest.raises(InvalidInputError, match="alone"):
        fs.probe(store, "pixels", train_subset="50", select="kfold", val="val")
    with pytest.raises(InvalidInputError, match="several labels per row"):
        fs.draw_subsets(store, fs.ShotDraws((1,), draws=1), target="tags")


def test_manifests_name_every_image(store: FeatureStore, tmp_path: Path) -> None:
    subset = fs.draw_subsets(store, fs.SizeDraws((40,)))["40"]
    ids = store.samples.ids[subset.rows].tolist()
    assert export_subset(store, "40", tmp_path / "m.csv", root="/images") == 40
    with (tmp_path / "m.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [line["id"] for line in table] == ids
    assert table[0]["path"] == f"/images/{ids[0]}"
    assert [line["label"] for line in table] == [f"digit {d}" for d in digits()[1][subset.rows]]
    export_subset(store, "40", tmp_path / "m.jsonl", target="tags")
    lines = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ids
    tags = store.samples.targets["tags"]
    expected = [tags.classes[i] for i in np.flatnonzero(tags.codes[subset.rows[3]])]
    assert (lines[3]["labels"], lines[3]["path"]) == (expected, None)
    with pytest.raises(InvalidInputError, match="several labels each"):
        export_subset(store, "40", tmp_path / "tags.csv", target="tags")
    with pytest.raises(InvalidInputError, match="must end in"):
        export_subset(store, "40", tmp_path / "m.xlsx")
    with pytest.raises(InvalidInputError, match="not there to be linked"):
        export_subset(store, "40", tmp_path / "links")


def test_links_are_an_image_folder(store: FeatureStore, tmp_path: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    from PIL import Image

    subset = fs.draw_subsets(store, fs.SizeDraws((30,)))["30"]
    (tmp_path / "images").mkdir()
    X, y = digits()
    for row in subset.rows:
        pixels = (X[row].reshape(8, 8) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / store.samples.ids[row])
    export_subset(store, "30", tmp_path / "links", root=tmp_path / "images")
    folder = datasets.ImageFolder(tmp_path / "links")
    assert len(folder) == 30
    found = {Path(path).name: folder.classes[code] for path, code in folder.samples}
    assert found == {store.samples.ids[row]: f"digit {y[row]}" for row in subset.rows}
    with pytest.raises(InvalidInputError, match="exists"):
        export_subset(store, "30", tmp_path / "links", root=tmp_path / "images")


def test_tar_files_are_a_web_dataset(tmp_path: Path) -> None:
    entries = []
    for i in range(25):
        path = tmp_path / f"{i}.x.png"
        path.write_bytes(bytes([i]) * 10)
        entries.append(Entry(f"ü/{i}.x.PNG", path, (f"class {i % 3}",)))
    classes = ["class 0", "class 1", "class 2"]
    shards = write_shards(entries, classes, tmp_path / "d-%06d.tar", shard_images=10)
    assert [path.name for path in shards] == [f"d-{i:06d}.tar" for i in range(3)]
    index = json.loads((tmp_path / "index.json").read_text())
    assert [shard["nsamples"] for shard in index["shardlist"]] == [10, 10, 5]
    found = []
    for shard in index["shardlist"]:
        with tarfile.open(tmp_path / shard["url"]) as tar:
            members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
        for image, code, said in zip(members[::3], members[1::3], members[2::3], strict=True):
            assert len({name.split(".")[0] for name, _ in (image, code, said)}) == 1
            assert image[0].endswith(".png")
            found.append((image[1], classes[int(code[1])], json.loads(said[1])["id"]))
    assert found == [(e.path.read_bytes(), e.labels[0], e.id) for e in entries if e.path]
    first = shards[0].read_bytes()
    write_shards(entries, classes, tmp_path / "d-%06d.tar", shard_images=10)
    assert shards[0].read_bytes() == first
    with pytest.raises(InvalidInputError, match="cannot be read"):
        write_shards([Entry("gone.jpg", None, ("class 0",))], classes, tmp_path / "e-%d.tar")
    with pytest.raises(InvalidInputError, match="no label"):
        write_shards([Entry("a.jpg", None, ())], classes, tmp_path / "e-%d.tar")


# The library leaves closing its files to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_webdataset_library_reads_them(store: FeatureStore, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    subset = fs.draw_subsets(store, fs.SizeDraws((30,)))["30"]
    for name in store.samples.ids[subset.rows]:
        (tmp_path / name).write_bytes(name.encode())
    assert export_subset(store, "30", tmp_path / "d-%06d.tar", root=tmp_path) == 30
    dataset = webdataset.WebDataset(str(tmp_path / "d-000000.tar"), shardshuffle=False)
    read = [(json.loads(one["json"])["id"], int(one["cls"]), one["png"]) for one in dataset]
    ids = store.samples.ids[subset.rows].tolist()
    codes = store.target("digit")[1].codes[subset.rows].tolist()
    assert read == [(i, c, i.encode()) for i, c in zip(ids, codes, strict=True)]
