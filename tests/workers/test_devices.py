"""Which GPU each process gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_images import TinyImages

import featstore as fs
from featstore.errors import InvalidInputError
from featstore.workers import process_devices, rank_device


@pytest.mark.parametrize(
    ("device", "count", "gpus", "expected"),
    [
        ("auto", None, 0, ["auto"]),
        ("auto", 3, 0, ["auto"] * 3),
        ("cpu", 3, 8, ["cpu"] * 3),
        ("auto", None, 2, ["cuda:0", "cuda:1"]),
        ("cuda", None, 2, ["cuda:0", "cuda:1"]),
        ("cuda", 1, 2, ["cuda:0"]),
        ("cuda:1", None, 2, ["cuda:1"]),
        ("cuda:1", 1, 2, ["cuda:1"]),
        ("cuda:2, cuda:0", None, 3, ["cuda:2", "cuda:0"]),
        ("cuda:1,cuda:1", 2, 2, ["cuda:1", "cuda:1"]),
        ("mps", 2, 0, ["mps", "mps"]),
    ],
)
def test_devices_of_processes(
    device: str, count: int | None, gpus: int, expected: list[str]
) -> None:
    assert process_devices(device, count, gpus=gpus) == expected


@pytest.mark.parametrize(
    ("device", "count", "gpus", "message"),
    [
        ("cuda:1", 2, 2, r"2 processes, and --device cuda:1 names 1: .*cuda:0,cuda:0,cuda:1"),
        ("cuda:0,cuda:1", 4, 2, r"4 processes, and --device cuda:0,cuda:1 names 2"),
        ("cuda:0,cuda:7", None, 2, r"'cuda:7' is not there: torch sees 2 CUDA devices"),
        ("cuda", 3, 2, r"3 processes of a GPU each, and torch sees 2"),
        ("auto", 3, 2, r"3 processes of a GPU each, and torch sees 2"),
        ("cuda", None, 0, r"torch sees 0 CUDA devices.*--device cpu"),
        ("cuda:0,cpu", None, 2, r"each is a GPU with its number"),
        ("cuda,cuda", None, 2, r"each is a GPU with its number"),
        ("cuda:0,", None, 2, r"each is a GPU with its number"),
    ],
)
def test_what_cannot_be_given_out(device: str, count: int | None, gpus: int, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        process_devices(device, count, gpus=gpus)


def test_ranks_of_one_machine() -> None:
    """Torchrun starts eight processes, each of which sees eight GPUs."""
    places = [rank_device("cuda", gpus=8, environment={"LOCAL_RANK": str(i)}) for i in range(8)]
    assert places == [f"cuda:{i}" for i in range(8)]
    local = {"LOCAL_RANK": "3"}
    assert rank_device("auto", gpus=1, environment=local) == "cuda:0"  # its own, alone visible
    assert rank_device("auto", gpus=0, environment=local) == "auto"
    assert [rank_device(d, gpus=8, environment=local) for d in ("cpu", "cuda:5")] == [
        "cpu",
        "cuda:5",
    ]


def test_several_devices_want_processes_of_this_machine(tmp_path: Path) -> None:
    images, net, out = TinyImages(3), "random/resnet18?size=32", tmp_path / "s.zarr"
    with pytest.raises(InvalidInputError, match="want a process each: engine='processes'"):
        fs.extract(images, net, out, device="cuda:0,cuda:1")
    assert not out.exists()
    for device in ("cuda:1", "cuda:0,cuda:1"):
        with pytest.raises(InvalidInputError, match="Ray chooses the GPU of each actor"):
            fs.extract(images, net, out, device=device, engine="ray")
