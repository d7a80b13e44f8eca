"""Every digest of a store computed anew, by the recipes of docs/format.md and hashlib alone."""

from __future__ import annotations

import copy
import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from plain_reader import PlainStore


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def canonical(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def compact(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def crc32c(content: bytes) -> int:
    """Castagnoli's CRC, from its definition."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_table_entry(byte) for byte in range(256)]


def digests(store: PlainStore) -> Iterator[tuple[str, object, object]]:
    """Yield what each digest is about, what it says, and what it is."""
    yield from _samples(store)
    for name in store.names("features"):
        yield from _feature(store, name)
    ids = store.texts("samples")
    for name in store.names("subsets"):
        fields, rows = store.subset(name)
        content = {
            "recipe": fields["recipe"],
            "seed": fields["seed"],
            "ids": sorted(ids[row] for row in rows.tolist()),
        }
        yield f"subset {name}", fields["digest"], sha256(compact(content))
    for place in [
        "",
        *(f"{k}/{n}" for k in ("subsets", "runs", "taxonomies") for n in store.names(k)),
    ]:
        yield from _sums(store.path / place)


def _samples(store: PlainStore) -> Iterator[tuple[str, object, object]]:
    attributes = store.document("samples/zarr.json")["attributes"]
    marks = store.marks()
    rows = store.plain_array("samples/id_offsets").tobytes()
    rows += store.plain_array("samples/ids").tobytes()
    rows += b"" if marks is None else marks.tobytes()
    yield "samples", attributes["digest"], sha256(rows)
    labels = "\0".join(store.splits()).encode()
    for name, (kind, classes, codes) in store.targets().items():
        labels += "\0".join([name, kind, *classes]).encode() + codes.astype("<i4").tobytes()
    weights = store.weights()
    labels += b"" if weights is None else weights.tobytes()
    yield "labels", attributes["labels_digest"], sha256(labels)


def _feature(store: PlainStore, name: str) -> Iterator[tuple[str, object, object]]:
    folder = f"features/{name}"
    content = (store.path / folder / "zarr.json").read_bytes()
    metadata = json.loads(content)
    yield f"{folder}/zarr.json is canonical", content, canonical(metadata)
    attributes = metadata["attributes"]["featstore"]
    yield f"{folder} name", attributes["name"], name
    rest = copy.deepcopy(metadata)
    del rest["attributes"]["featstore"]["digest"]
    yield f"{folder} digest", attributes["digest"], sha256(canonical(rest))
    spec = copy.deepcopy(attributes["spec"])
    del spec["backbone"]["source"], spec["backbone"]["weights"]
    spec["backbone"].pop("pretrained_on", None)
    yield f"{folder} spec_digest", attributes["spec_digest"], sha256(compact(spec))
    samples = store.document("samples/zarr.json")["attributes"]
    yield f"{folder} samples", attributes["spec"]["samples_digest"], samples["digest"]
    if (store.path / folder / "request.json").exists():
        yield from _self_digest(store, f"{folder}/request.json")
    if attributes["sealed"]:
        yield from _manifest(store, folder, attributes)
        shards = store.document(f"{folder}/manifest.json")["shards"]
    else:
        markers = sorted((store.path / folder / "_commits").glob("*.json"))
        for marker in markers:
            yield from _self_digest(store, marker.relative_to(store.path).as_posix())
        shards = [json.loads(marker.read_bytes())["commit"] for marker in markers]
    for shard in shards:
        yield from _shard(store, name, shard)


def _self_digest(store: PlainStore, name: str) -> Iterator[tuple[str, object, object]]:
    document = store.document(name)
    yield f"{name} is canonical", (store.path / name).read_bytes(), canonical(document)
    yield f"{name} digest", document["digest"], sha256(canonical(without(document, "digest")))


def _manifest(
    store: PlainStore, folder: str, attributes: dict[str, Any]
) -> Iterator[tuple[str, object, object]]:
    yield from _self_digest(store, f"{folder}/manifest.json")
    content = (store.path / folder / "manifest.json").read_bytes()
    yield f"{folder} manifest_digest", attributes["manifest_digest"], sha256(content)
    manifest = json.loads(content)
    yield f"{folder} spec_digest of it", manifest["spec_digest"], attributes["spec_digest"]
    whole_spec = sha256(canonical(attributes["spec"]))
    yield f"{folder} spec_sha256", manifest["spec_sha256"], whole_spec


def _shard(
    store: PlainStore, name: str, shard: dict[str, Any]
) -> Iterator[tuple[str, object, object]]:
    place = f"features/{name}/c/{shard['shard']}/0"
    (_, dim), dtype, shard_rows, chunk_rows = store.layout(name)
    content = (store.path / place).read_bytes()
    yield f"{place} size", shard["nbytes"], len(content)
    yield f"{place} start", shard["start"], shard["shard"] * shard_rows
    chunk_bytes = chunk_rows * dim * dtype.itemsize
    n_chunks = -(-shard["rows"] // chunk_rows)
    chunks = [content[i * chunk_bytes : (i + 1) * chunk_bytes] for i in range(n_chunks)]
    yield f"{place} crc32c", shard["crc32c"], [crc32c(chunk) for chunk in chunks]
    padding = content[shard["rows"] * dim * dtype.itemsize : n_chunks * chunk_bytes]
    yield f"{place} padding", padding, bytes(len(padding))
    index = np.full((shard_rows // chunk_rows, 2), 2**64 - 1, "<u8")
    index[:n_chunks] = [(i * chunk_bytes, chunk_bytes) for i in range(n_chunks)]
    table = index.tobytes()
    tail = table + struct.pack("<I", crc32c(table))
    yield f"{place} index", content[n_chunks * chunk_bytes :], tail


def _sums(folder: Path) -> Iterator[tuple[str, object, object]]:
    content = (folder / "SHA256SUMS").read_bytes()
    lines, comment, last = content.rpartition(b"# SHA-256 of the lines above: ")
    yield f"{folder.name} list", (comment, last.decode()), (comment, f"{sha256(lines)}\n")
    names = []
    for line in lines.decode().splitlines():
        digest, name = line.split("  ", 1)
        yield f"{folder.name}/{name}", digest, sha256((folder / name).read_bytes())
        names.append(name)
    yield f"{folder.name} is sorted", names, sorted(names)
