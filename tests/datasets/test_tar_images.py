"""Tar files: what WebDataset itself writes and reads, on disk, over HTTP and on S3."""

from __future__ import annotations

import gc
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import webdataset
from range_server import RangeServer

import featstore as fs
from featstore.datasets import TarImages, open_dataset
from featstore.datasets.tar_images import expand_braces
from featstore.errors import InvalidInputError, StorageError, UnreadableImageError
from featstore.exports.manifest import export_subset
from featstore.location import open_folder

NET = "random/resnet18?size=32"


@pytest.fixture(scope="module")
def photo_bytes(photos: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(photos.rglob("*.jpg"))[:24]]


def write(path: Path, samples: list[dict[str, Any]]) -> Path:
    with webdataset.TarWriter(str(path)) as writer:
        for sample in samples:
            writer.write(sample)
    return path


@pytest.fixture
def shards(photo_bytes: list[bytes], tmp_path: Path) -> Path:
    """Return a folder of three tar files of eight photos, written by WebDataset."""
    for number in range(3):
        rows = range(8 * number, 8 * number + 8)
        write(
            tmp_path / f"photos-{number:03d}.tar",
            [
                {
                    "__key__": f"{row:05d}",
                    "jpg": photo_bytes[row],
                    "cls": row % 2,
                    "json": {"tags": ["a", "b"][: row % 3], "site": row // 4, "name": f"n{row}"},
                }
                for row in rows
            ],
        )
    return tmp_path


def test_ids_targets_and_images(shards: Path, photo_bytes: list[bytes]) -> None:
    data = TarImages.open(shards)
    samples = data.samples
    assert samples.ids[9] == "photos-001/00009"
    # One name per sample is no label.
    assert sorted(samples.targets) == ["cls", "site", "tags"]
    assert samples.targets["cls"].codes.tolist() == [0, 1] * 12
    assert samples.targets["tags"].codes[:3].tolist() == [[0, 0], [1, 0], [1, 1]]
    assert samples.marks is not None
    assert samples.marks.tolist() == [len(content) for content in photo_bytes]
    assert [data.image(row) for row in range(24)] == photo_bytes
    assert set(samples.split_names) == {"train", "test"}
    assert "hold-out" in data.source["split"]


# The library leaves closing its files to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_same_samples_as_webdataset_reads(shards: Path) -> None:
    urls = [str(path) for path in sorted(shards.glob("*.tar"))]
    theirs = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    data = TarImages.open(f"{shards}/photos-{{000..002}}.tar")
    assert len(theirs) == len(data.samples)
    for row, sample in enumerate(theirs):
        assert str(data.samples.ids[row]).rpartition("/")[2] == sample["__key__"]
        assert data.image(row) == sample["jpg"]
    gc.collect()


def test_what_subset_exports_comes_back(few_photos: Path, tmp_path: Path) -> None:
    store = fs.extract(few_photos, NET, tmp_path / "s.zarr").store
    rows = fs.draw_subsets(store, fs.SizeDraws((20,)))["20"].rows
    (tmp_path / "tars").mkdir()
    export_subset(store, "20", tmp_path / "tars" / "photos-%02d.tar")
    for place in (tmp_path / "tars", tmp_path / "tars" / "index.json"):
        samples = open_dataset(f"wds:{place}?id=id", hold_out=None).samples
        assert sorted(samples.ids) == sorted(store.samples.ids[rows])
        theirs = store.target("label")[1]
        label = dict(zip(store.samples.ids.tolist(), theirs.codes.tolist(), strict=True))
        mine = samples.targets["label"]
        for name, code in zip(samples.ids.tolist(), mine.codes.tolist(), strict=True):
            assert mine.classes[code] == theirs.classes[label[name]]


def test_splits_from_the_names_of_shards(photo_bytes: list[bytes], tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        rows = [{"__key__": f"{i}", "jpg": photo_bytes[i], "cls": i % 2} for i in range(4)]
        write(tmp_path / f"birds-{split}-000.tar", rows)
    samples = TarImages.open(tmp_path).samples
    assert set(samples.split_names) == {"train", "val", "test"}
    assert samples.ids[0] == "birds-test-000/0"


def test_over_http_images_are_passed_over(
    shards: Path, photo_bytes: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RangeServer(shards).start()
    try:
        asked: list[int] = []
        monkeypatch.setattr(
            "featstore.datasets.range_file.open_folder",
            counting(asked),
        )
        data = open_dataset(f"{server.url}/photos-{{000..002}}.tar")
        size = sum(path.stat().st_size for path in shards.glob("*.tar"))
        assert data.source["kind"] == "wds"
        assert sum(asked) < size / 2
        local = TarImages.open(shards)
        assert data.samples.differences(local.samples) == []
        assert data.image(17) == photo_bytes[17]
        out = [fs.extract(d, NET, tmp_path / f"{i}.zarr") for i, d in enumerate((data, local))]
        X = [result.store.view("random_resnet18").array() for result in out]
        assert (X[0] == X[1]).all()
    finally:
        server.stop()


def counting(asked: list[int]) -> Any:
    """Count the bytes that are read from folders."""

    class Counted:
        def __init__(self, place: str) -> None:
            self._folder = open_folder(place)

        def size(self, name: str) -> Any:
            return self._folder.size(name)

        def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
            content: bytes = self._folder.read(name, start, length)
            asked.append(len(content))
            return content

    return Counted


def test_an_index_of_shards(shards: Path) -> None:
    index = {
        "__kind__": "wids-shard-index-v1",
        "shardlist": [{"url": f"photos-00{n}.tar", "nsamples": 8} for n in (0, 2)],
    }
    (shards / "index.json").write_text(json.dumps(index))
    samples = open_dataset(f"wds:{shards}/index.json").samples
    assert len(samples) == 16
    assert samples.ids[8] == "photos-002/00016"


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def test_folders_hidden_members_and_long_names(photo_bytes: list[bytes], tmp_path: Path) -> None:
    long = "d" * 90 + "/" + "k" * 90
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        add(tar, "._1.jpg", b"x")
        add(tar, "./x/1.jpg", photo_bytes[0])
        add(tar, "./x/1.notes.txt", b"text")
        add(tar, f"{long}.jpg", photo_bytes[1])
    data = TarImages.open(tmp_path / "a.tar", hold_out=None)
    assert data.samples.ids.tolist() == ["a/x/1", f"a/{long}"]
    assert data.image(1) == photo_bytes[1]


def test_several_images_and_ids_of_a_field(photo_bytes: list[bytes], tmp_path: Path) -> None:
    rows = [
        {"__key__": str(i), "left.jpg": photo_bytes[i], "right.jpg": b"x", "json": {"uid": f"u{i}"}}
        for i in range(2)
    ]
    write(tmp_path / "a.tar", rows)
    with pytest.raises(InvalidInputError, match=r"sample '0' of .*a\.tar has 2 images"):
        TarImages.open(tmp_path / "a.tar")
    data = open_dataset(f"wds:{tmp_path}/a.tar?image=left.jpg&id=uid", hold_out=None)
    assert data.samples.ids.tolist() == ["u0", "u1"]
    assert data.image(1) == photo_bytes[1]
    with pytest.raises(InvalidInputError, match="field 'uuid'"):
        TarImages.open(tmp_path / "a.tar", image="left.jpg", id="uuid")


def test_damaged_tar_files(shards: Path, photo_bytes: list[bytes], tmp_path: Path) -> None:
    whole = (shards / "photos-000.tar").read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    with tarfile.open(shards / "photos-000.tar") as tar:
        middle = tar.getmember("00004.jpg")
    (other / "cut.tar").write_bytes(whole[: middle.offset_data + middle.size // 2])
    with pytest.raises(InvalidInputError, match=r"cut\.tar cannot be read as a tar file"):
        TarImages.open(other / "cut.tar")
    with tarfile.open(other / "packed.tar", "w:gz") as tar:
        add(tar, "1.jpg", photo_bytes[0])
    with pytest.raises(InvalidInputError, match="unpack it with gunzip"):
        TarImages.open(other / "packed.tar")
    with tarfile.open(other / "json.tar", "w") as tar:
        add(tar, "1.jpg", photo_bytes[0])
        add(tar, "1.json", b"{")
    with pytest.raises(InvalidInputError, match=r"1\.json of .*json\.tar cannot be read"):
        TarImages.open(other / "json.tar")
    with tarfile.open(other / "text.tar", "w") as tar:
        add(tar, "1.txt", b"no image")
    with pytest.raises(InvalidInputError, match="has no image among txt"):
        TarImages.open(other / "text.tar")
    with tarfile.open(other / "empty.tar", "w"):
        pass
    with pytest.raises(InvalidInputError, match="holds no samples"):
        TarImages.open(other / "empty.tar")
    data = TarImages.open(shards / "photos-000.tar")
    (shards / "photos-000.tar").write_bytes(whole[:100])
    with pytest.raises(UnreadableImageError, match="was cut off or changed"):
        data.image(7)
    (shards / "photos-000.tar").unlink()
    with pytest.raises(UnreadableImageError, match="is gone"):
        data.image(7)


def test_tar_files_that_end_without_saying_so(shards: Path, tmp_path: Path) -> None:
    """Cut between members, in a header, and where a header is garbage: tarfile sees an end."""
    path = shards / "photos-001.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    header, end = last.offset, last.offset_data + 512
    assert last.size <= 512
    for content, message in (
        (whole[:header], rf"photos-001\.tar was cut off: .* at byte {header}\."),
        (whole[:end], rf"photos-001\.tar was cut off: .* at byte {end}\."),
        (whole[: header + 200], rf"photos-001\.tar is damaged, or was cut off: at byte {header}"),
        (whole[:header] + b"x" * 512 + whole[end:], rf"is damaged.* at byte {header} there"),
    ):
        path.write_bytes(content)
        with pytest.raises(InvalidInputError, match=message):
            TarImages.open(shards)
    # What the message says helps; one block of zeros is enough.
    for zeros in (1024, 512):
        path.write_bytes(whole[:end] + bytes(zeros))
        assert len(TarImages.open(shards).samples) == 24


def test_places_without_tar_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"there are no \.tar files"):
        open_dataset(f"wds:{tmp_path}")
    with pytest.raises(InvalidInputError, match="no file is called"):
        open_dataset(f"wds:{tmp_path}/x*.tar")
    with pytest.raises(InvalidInputError, match=r"a\.tar cannot be opened"):
        open_dataset(f"{tmp_path}/a.tar")
    server = RangeServer(tmp_path).start()
    try:
        with pytest.raises((InvalidInputError, StorageError), match=r"there is no .*a\.tar"):
            open_dataset(f"{server.url}/a.tar")
    finally:
        server.stop()


def test_braces() -> None:
    assert expand_braces("x-{8..10}.tar") == ["x-8.tar", "x-9.tar", "x-10.tar"]
    with pytest.raises(InvalidInputError, match=r"range .* is empty"):
        expand_braces("x-{3..1}.tar")


def test_two_shards_of_one_name(photo_bytes: list[bytes], tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "0.tar", [{"__key__": "1", "jpg": photo_bytes[0], "cls": 0}])
    with pytest.raises(InvalidInputError, match=r"two tar files are called 0\.tar"):
        open_dataset(f"wds:{tmp_path}/{{a,b}}/0.tar")
