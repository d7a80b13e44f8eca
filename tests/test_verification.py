"""verify finds every kind of damage, and names it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from digits_store import make_digits_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_store import fill, make_samples

import featstore as fs
from featstore import sums
from featstore.commits import content_digest, encode_json, manifest_digest
from featstore.errors import NotAStoreError, StoreNotFoundError
from featstore.local_folder import LocalFolder
from featstore.samples import Samples, Target
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy
from featstore.verification import Finding


def in_halves() -> Taxonomy:
    digits = [f"digit {d}" for d in range(10)]
    return Taxonomy.from_frame(pd.DataFrame({"digit": digits, "half": ["low"] * 5 + ["high"] * 5}))


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with two features, an unfinished one, a run and a taxonomy."""
    store = make_digits_store(tmp_path_factory.mktemp("verify") / "d.zarr")
    fs.probe(store, "pca", value=0.1, n_boot=0, name="run")
    store.save_taxonomy("halves", in_halves())
    store.feature("pixels").remember({"source": "test/net", "transform": "own"})
    writer = store.writer("half", store.feature("pixels").spec)
    for shard in (0, 2):
        writer.put(shard, np.full((256, 64), 0.5, np.float32))
    return store.path


@pytest.fixture
def store(pristine: Path, tmp_path: Path) -> FeatureStore:
    return FeatureStore.open(shutil.copytree(pristine, tmp_path / "d.zarr"))


@pytest.fixture(scope="module")
def spoiled(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy for tests that put back what they spoil."""
    return shutil.copytree(pristine, tmp_path_factory.mktemp("spoiled") / "d.zarr")


def damage_in(store: FeatureStore | Path) -> list[Finding]:
    return [finding for finding in fs.verify(store) if finding.severity == "damage"]


def files_of(path: Path) -> list[str]:
    names = (file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    return sorted(name for name in names if name != "history.jsonl")


def test_a_sound_store(store: FeatureStore) -> None:
    assert fs.verify(store) == []
    assert fs.verify(store.path) == []


# Damage anywhere

SPOILERS = {
    "cut": lambda path, content, at: path.write_bytes(content[:at]),
    "longer": lambda path, content, at: path.write_bytes(content + content[at:]),
    "flipped": lambda path, content, at: path.write_bytes(
        content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :]
    ),
}


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_to_any_file_is_found_and_named(spoiled: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(files_of(spoiled)), "file")
    content = (spoiled / name).read_bytes()
    at = data.draw(st.integers(0, len(content) - 1), "byte")
    SPOILERS[data.draw(st.sampled_from(sorted(SPOILERS)))](spoiled / name, content, at)
    try:
        assert [finding.place for finding in damage_in(spoiled)] == [name]
    finally:
        (spoiled / name).write_bytes(content)


def test_every_missing_file_is_found_and_named(spoiled: Path) -> None:
    for name in files_of(spoiled):
        content = (spoiled / name).read_bytes()
        (spoiled / name).unlink()
        places = [finding.place for finding in damage_in(spoiled)]
        (spoiled / name).write_bytes(content)
        # A feature does without its request, and a shard without a marker counts as not computed.
        optional = name.endswith("/request.json") or "/_commits/" in name
        assert places == ([] if optional else [name])


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"attributes": []}', b"\xff"])
def test_nonsense_is_never_a_traceback(spoiled: Path, content: bytes) -> None:
    for name in files_of(spoiled):
        if name.endswith((".json", sums.SUMS)):
            sound = (spoiled / name).read_bytes()
            (spoiled / name).write_bytes(content)
            places = [finding.place for finding in damage_in(spoiled)]
            (spoiled / name).write_bytes(sound)
            assert places == [name]


def test_folders_in_the_place_of_files(spoiled: Path) -> None:
    rng = random.Random(0)
    for name in rng.sample(files_of(spoiled), 20):
        (spoiled / name).rename(spoiled / "aside")
        (spoiled / name).mkdir()
        places = [finding.place for finding in damage_in(spoiled)]
        (spoiled / name).rmdir()
        (spoiled / "aside").rename(spoiled / name)
        assert places in ([name], [name.rpartition("/")[0]])


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Make permissions count, also when tests run as root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def open_to_all(path: Path) -> Path:
    for parent in path.parents:
        if parent.stat().st_mode & 0o011 != 0o011:
            parent.chmod(parent.stat().st_mode | 0o011)
    return path


def test_what_may_not_be_read(
    pristine: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = open_to_all(shutil.copytree(pristine, tmp_path / "d.zarr"))
    closed = ["features/pca/c/0/0", "features/pixels/zarr.json", "samples/ids/c/0"]
    for name in closed:
        (path / name).chmod(0)
    request.getfixturevalue("unprivileged")
    found = damage_in(path)
    assert {finding.place for finding in found} == set(closed)
    for finding in found:
        assert finding.problem == "cannot be read: Permission denied"
        assert finding.advice == ("make it readable and verify again",)
        assert not finding.repairable


def test_a_folder_that_may_not_be_listed(
    pristine: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = open_to_all(shutil.copytree(pristine, tmp_path / "d.zarr"))
    (path / "features" / "pca").chmod(0o311)
    request.getfixturevalue("unprivileged")
    (found,) = damage_in(path)
    assert (found.place, found.problem) == ("features/pca", "cannot be read: Permission denied")


# Damage that leaves every file's digest as it says


def edit_json(path: Path, edit: Callable[[Any], object]) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(path.read_bytes())
    edit(fields)
    return fields


def reseal(
    folder: Path,
    *,
    manifest: Callable[[Any], object] = len,
    metadata: Callable[[Any], object] = len,
) -> None:
    """Edit a sealed feature and make all digests fit again."""
    fields = edit_json(folder / "manifest.json", manifest)
    del fields["digest"]
    content = encode_json({**fields, "digest": content_digest(fields)})
    (folder / "manifest.json").write_bytes(content)
    fields = edit_json(folder / "zarr.json", metadata)
    attributes = fields["attributes"]["featstore"]
    attributes["manifest_digest"] = manifest_digest(content)
    del attributes["digest"]
    attributes["digest"] = content_digest(fields)
    (folder / "zarr.json").write_bytes(encode_json(fields))


def swap(a: Path, b: Path) -> None:
    a.rename(a.with_name("aside"))
    b.rename(a)
    a.with_name("aside").rename(b)


def test_resealing_alone_is_no_damage(store: FeatureStore) -> None:
    reseal(store.path / "features" / "pixels")
    assert fs.verify(store) == []


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (
            lambda m: m["shards"].insert(1, m["shards"][0]),
            "not cover .* exactly once.*0, 0, 1, 2",
        ),
        (lambda m: m["shards"].pop(), "does not cover the rows exactly once: it lists 7 shards"),
        (lambda m: m["shards"].reverse(), "does not cover the rows exactly once"),
        (
            lambda m: m["shards"][1].update(start=0),
            "shard 1 covers rows 0 to 256 instead",
        ),
        (lambda m: m["shards"][1].update(rows=255), "covers rows 256 to 511 instead of"),
        (lambda m: m["shards"][1].update(nbytes=5), "shard 1 was committed with another layout"),
        (lambda m: m["shards"][1]["crc32c"].append(5), "was committed with another layout"),
        (
            lambda m: m["shards"][1].update(excluded={"3": "x"}),
            "rows that are not its own",
        ),
        (lambda m: m["shards"][1].update(spec_digest="x"), "was computed with another spec"),
        (lambda m: m["shards"][1].update(colour="red"), "not what featstore writes .TypeError"),
    ],
)
def test_manifests_that_contradict_the_layout(
    store: FeatureStore, edit: Callable[[Any], object], problem: str
) -> None:
    reseal(store.path / "features" / "pixels", manifest=edit)
    (found,) = damage_in(store)
    assert found.place == "features/pixels/manifest.json"
    assert re.search(problem, found.problem)


def edit_spec(metadata: Any) -> None:
    metadata["attributes"]["featstore"]["spec"]["backbone"]["weights"] = "others"


def edit_layout(metadata: Any) -> None:
    metadata["chunk_grid"]["configuration"]["chunk_shape"][0] //= 2


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (edit_spec, "has another spec than the manifest"),
        (lambda m: m["attributes"]["featstore"].update(spec_digest="0"), "the spec was edited"),
        (lambda m: m["attributes"]["featstore"].update(sealed=False), "shows 1797 of 1797 rows"),
        (lambda m: m.update(shape=[1796, 64]), "shows 1796 of 1797 rows"),
        (lambda m: m.update(fill_value=1.0), "a layout that featstore never writes"),
        (lambda m: m["codecs"].clear(), "a layout that featstore never writes"),
        (lambda m: m["attributes"]["featstore"].update(name="pca"), "is that of the feature 'pca'"),
    ],
)
def test_metadata_that_contradict_themselves_or_the_manifest(
    store: FeatureStore, edit: Callable[[Any], object], problem: str
) -> None:
    reseal(store.path / "features" / "pixels", metadata=edit)
    (found,) = damage_in(store)
    assert found.place == "features/pixels/zarr.json"
    assert problem in found.problem


def test_an_edited_layout_does_not_fit_the_manifest(store: FeatureStore) -> None:
    reseal(store.path / "features" / "pixels", metadata=edit_layout)
    assert [finding.feature for finding in damage_in(store)] == ["pixels"]


def test_swapped_shards(store: FeatureStore) -> None:
    folder = store.path / "features" / "pixels" / "c"
    swap(folder / "0", folder / "1")
    found = damage_in(store)
    assert [finding.place for finding in found] == [f"features/pixels/c/{i}/0" for i in (0, 1)]
    assert [finding.shard for finding in found] == [0, 1]
    assert "1 of 1 chunks have another checksum than committed" in found[0].problem
    assert "the first from row 256 on" in found[1].problem


@pytest.mark.parametrize("kind", ["features", "runs"])
def test_swapped_folders(store: FeatureStore, kind: str) -> None:
    if kind == "runs":
        fs.probe(store, "pixels", value=0.1, n_boot=0, name="other")
    names = ("pca", "pixels") if kind == "features" else ("run", "other")
    swap(*(store.path / kind / name for name in names))
    found = damage_in(store)
    assert {finding.place.split("/")[1] for finding in found} == set(names)
    for finding in found:
        assert "folders have changed places" in finding.problem


def test_a_manifest_of_another_feature(store: FeatureStore) -> None:
    folder = store.path / "features"
    swap(folder / "pca" / "manifest.json", folder / "pixels" / "manifest.json")
    for finding in damage_in(store):
        assert finding.place in ("features/pca/manifest.json", "features/pixels/manifest.json")
        assert "not the manifest that the feature was sealed with" in finding.problem


# Samples


def relist(folder: Path) -> None:
    """Make the checksums of a folder fit its files again, without those of its members."""
    listed = re.compile(r"(\w+/)?zarr\.json|samples/.*")
    names = [name for name in files_of(folder) if listed.fullmatch(name)]
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (folder / sums.SUMS).write_bytes(sums.render(digests))


def edit_samples(store: FeatureStore, edit: Callable[[Samples], Samples]) -> None:
    """Replace the samples as a whole, with digests that fit."""
    samples = edit(store.samples)
    shutil.rmtree(store.path / "samples")
    samples.write(zarr.create_group(store.path / "samples"))
    relist(store.path)


def test_labels_out_of_range(store: FeatureStore) -> None:
    def edit(samples: Samples) -> Samples:
        digit, tags = samples.targets["digit"], samples.targets["tags"]
        codes, flags = digit.codes.copy(), tags.codes.copy()
        codes[[5, 6]] = [10, -2]
        flags.view(np.uint8)[7] = 2
        targets = {
            "digit": Target("single", digit.classes, codes),
            "tags": Target("multi", tags.classes, flags),
        }
        return Samples(samples.ids, samples.splits, targets)

    edit_samples(store, edit)
    found = damage_in(store)
    assert [finding.place for finding in found] == ["samples/targets/digit", "samples/targets/tags"]
    assert "2 labels are outside of its 10 classes" in found[0].problem
    assert "3 labels are outside of its 3 classes" in found[1].problem


def test_moved_rows_and_edited_labels(store: FeatureStore) -> None:
    for name, value in (("split", 1), ("targets/digit", 3)):
        array = zarr.open_array(store.path / "samples" / name)
        before = array[5]
        array[5] = value
        relist(store.path)
        assert [finding.problem for finding in damage_in(store)] == [
            "splits or labels are not the ones that were written"
        ]
        array[5] = before
    relist(store.path)
    assert fs.verify(store) == []


@pytest.mark.parametrize(
    ("name", "row", "value", "problem"),
    [
        ("ids", 5, ord("X"), "do not have the digest"),
        ("id_offsets", 3, 2, "do not have the digest"),
        ("split", 5, 7, "split codes from 0 to 7 for 2 splits"),
    ],
)
def test_edited_rows(store: FeatureStore, name: str, row: int, value: int, problem: str) -> None:
    zarr.open_array(store.path / "samples" / name)[row] = value
    relist(store.path)
    (found,) = damage_in(store)
    assert found.place == "samples"
    assert problem in found.problem


def test_repeated_ids(store: FeatureStore) -> None:
    group = zarr.open_group(store.path / "samples")
    text = group["ids"][:]
    text[8:16] = text[:8]
    group["ids"][:] = text
    digest = hashlib.sha256(group["id_offsets"][:].tobytes() + text.tobytes())
    group.attrs["digest"] = digest.hexdigest()
    relist(store.path)
    assert "1 sample ids occur more than once" in damage_in(store)[0].problem


def test_samples_of_another_store(store: FeatureStore) -> None:
    edit_samples(store, lambda _: make_samples(1797))
    places = [finding.place for finding in damage_in(store)]
    assert places == ["features/half", "features/pca", "features/pixels", "runs/run"]


def test_samples_of_another_length(store: FeatureStore) -> None:
    edit_samples(store, lambda _: make_samples(100))
    assert {finding.feature for finding in damage_in(store)} == {"half", "pca", "pixels", None}


# Runs and taxonomies


def test_a_damaged_run_says_how_to_make_it_again(store: FeatureStore) -> None:
    shutil.rmtree(store.path / "runs" / "run" / "scores")
    found = damage_in(store)
    assert {finding.place for finding in found} == {
        "runs/run/scores/zarr.json",
        "runs/run/scores/c/0/0",
    }
    remove, again = found[0].advice
    assert remove == f"featstore rm {store.path} run"
    assert again == (
        f"featstore probe {store.path} --features pca --preset logistic --value 0.1 "
        "--target digit --test test --name run"
    )


def test_a_taxonomy_that_is_none(store: FeatureStore) -> None:
    folder = store.path / "taxonomies" / "halves"
    fields = edit_json(
        folder / "zarr.json", lambda group: group["attributes"]["taxonomy"]["levels"].pop()
    )
    (folder / "zarr.json").write_bytes(encode_json(fields))
    relist(folder)
    (found,) = damage_in(store)
    assert found.place == "taxonomies/halves"
    assert found.advice[1].endswith("--save halves")


# Unfinished features


def test_shards_of_an_unfinished_feature_are_checked(store: FeatureStore) -> None:
    shard = store.path / "features" / "half" / "c" / "2" / "0"
    shard.write_bytes(shard.read_bytes()[::-1])
    (found,) = damage_in(store)
    assert (found.place, found.repairable) == ("features/half/c/2/0", True)


def test_a_committed_shard_may_still_lie_aside(store: FeatureStore) -> None:
    folder = store.path / "features" / "half"
    marker = folder / "_commits" / "00000002.json"
    staged = json.loads(marker.read_bytes())["staged"]
    (folder / "c" / "2" / "0").rename(folder / staged)
    assert fs.verify(store) == []
    content = (folder / staged).read_bytes()
    (folder / staged).write_bytes(content[:99] + b"\1" + content[100:])
    assert [finding.place for finding in damage_in(store)] == ["features/half/c/2/0"]


def test_a_marker_of_another_shard(store: FeatureStore) -> None:
    folder = store.path / "features" / "half" / "_commits"
    shutil.copy(folder / "00000002.json", folder / "00000003.json")
    (found,) = damage_in(store)
    assert found.place == "features/half/_commits/00000003.json"
    assert found.problem == "is the marker of shard 2"


def test_a_store_that_is_being_written_to(tmp_path: Path) -> None:
    store = FeatureStore.create(tmp_path / "s.zarr", make_samples(3000))
    X = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)
    writer = threading.Thread(
        target=lambda: [fill(store, name, X) for name in "abcd"], name="writer"
    )
    writer.start()
    while writer.is_alive():
        assert damage_in(store) == []
    writer.join()
    assert fs.verify(store) == []


def test_what_is_removed_meanwhile_is_no_damage(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalFolder.files

    def files_and_then_none(folder: LocalFolder) -> dict[str, int]:
        found = files(folder)
        if folder.path == store.path:
            store.delete_run("run")
            store.delete_taxonomy("halves")
            for name in store.features:
                store.delete_feature(name)
        return found

    monkeypatch.setattr(LocalFolder, "files", files_and_then_none)
    assert fs.verify(store) == []


# Leftovers


def test_leftovers_are_no_damage(store: FeatureStore) -> None:
    leftovers = {
        "notes.txt": "is no part of the store",
        "features/.x.0123456789ab.partial": "is left over by a process that was killed",
        "features/pixels/c/99/0": "is no shard of the feature",
        "features/pixels/zarr.json.0123456789ab.partial": "is left over by a process",
        "features/pixels/_quarantine/3.0": "was set aside by a repair",
        "features/pixels/_commits/00000001.json": "is left over by a process that was killed",
        "features/half/_commits/00000001.0123456789ab.staged": "is left over by a process",
        "runs/run/extra": "is no part of the store",
        "copy": "is no part of the store, with 4 files",
    }
    shutil.copytree(store.path / "samples" / "ids", store.path / "copy" / "of" / "ids")
    shutil.copytree(store.path / "samples" / "ids", store.path / "copy" / "of" / "more")
    for name in leftovers.keys() - {"copy"}:
        path = store.path / name
        path = path / "zarr.json" if "/.x" in name else path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = {finding.place: finding for finding in fs.verify(store)}
    assert found.keys() == leftovers.keys()
    for place, finding in found.items():
        assert finding.severity == "leftover"
        assert finding.problem.startswith(leftovers[place])
    assert found["notes.txt"].advice == ("remove what you did not put there",)
    assert found["features/pixels/c/99/0"].advice == (f"featstore compact {store.path}",)


# Places


def test_places_without_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        fs.verify(tmp_path / "none.zarr")
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(NotAStoreError):
        fs.verify(tmp_path / "other.zarr")


def test_a_store_of_a_newer_format_is_not_called_damaged(store: FeatureStore) -> None:
    fields = edit_json(
        store.path / "zarr.json", lambda group: group["attributes"]["featstore"].update(format=99)
    )
    (store.path / "zarr.json").write_bytes(encode_json(fields))
    # Not as it was written: then the number may be the damage.
    assert [finding.place for finding in damage_in(store.path)] == ["zarr.json"]
    relist(store.path)
    with pytest.raises(NotAStoreError, match="format 99"):
        fs.verify(store.path)


def test_stores_without_checksums(store: FeatureStore) -> None:
    """Those of the first featstores: what has a digest is checked."""
    fields = edit_json(
        store.path / "zarr.json", lambda group: group["attributes"]["featstore"].pop("checksums")
    )
    (store.path / "zarr.json").write_bytes(encode_json(fields))
    for place in (".", "runs/run", "taxonomies/halves"):
        (store.path / place / sums.SUMS).unlink()
    assert fs.verify(store) == []
    zarr.open_array(store.path / "samples" / "targets" / "digit")[5] = 3
    shutil.rmtree(store.path / "runs" / "run" / "scores")
    assert [finding.place for finding in damage_in(store)] == ["samples", "runs/run"]
