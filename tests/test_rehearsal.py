"""Dry runs: what they promise against what then happens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from numpy.typing import NDArray
from tiny_images import Projection, TinyImages

import featstore as fs
from featstore.errors import InvalidInputError, SpecMismatchError
from featstore.rehearsal import rehearse

NET = "x=random/resnet18?size=32"
OTHER = "y=random/mobilenet_v3_small?size=32"


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_is_promised_is_what_happens(few_photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    plan = rehearse(few_photos, [NET, OTHER], out, trial_s=0.2, batch_size=16)
    assert not out.exists()
    assert (plan.rows, plan.images) == (60, 60)
    assert plan.features["dim"].tolist() == [512, 576]
    assert plan.features["rows_left"].tolist() == [60, 60]
    assert plan.seconds == pytest.approx(60 / plan.images_per_second)
    store = fs.extract(few_photos, [NET, OTHER], out).store
    shards = [bytes_below(out / "features" / name / "c") for name in ("x", "y")]
    assert plan.features["nbytes"].tolist() == shards
    assert plan.nbytes == sum(shards)

    done = rehearse(few_photos, [NET, OTHER], store.path)
    assert (done.images, done.nbytes, done.seconds, done.trial_images) == (0, 0, 0.0, 0)
    more = rehearse(few_photos, [NET, "z=random/resnet18?size=32&seed=1"], out, trial_s=0.1)
    assert more.features["rows_left"].tolist() == [0, 60]
    with pytest.raises(SpecMismatchError, match="made in another way"):
        rehearse(few_photos, "x=random/resnet18?size=32&seed=1", out)
    with pytest.raises(InvalidInputError, match="from other samples"):
        rehearse(few_photos / "train", NET, out)
    assert sorted(store.features) == ["x", "y"]


@dataclass(frozen=True)
class Slow(Projection):
    """A device of a known rate."""

    seconds_per_image: float = 0.002

    def encode(self, pixels: NDArray[Any]) -> NDArray[Any]:
        time.sleep(len(pixels) * self.seconds_per_image)
        return super().encode(pixels)


def test_the_rate_is_the_devices_and_the_trial_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "featstore.rehearsal.load_encoders", lambda requests, names, device: {"x": Slow()}
    )
    began = time.perf_counter()
    plan = rehearse(TinyImages(100_000), NET, tmp_path / "s.zarr", batch_size=64, trial_s=1.0)
    assert time.perf_counter() - began < 10
    assert plan.images_per_second == pytest.approx(500, rel=0.25)
    assert plan.seconds == pytest.approx(200, rel=0.25)
    assert 64 <= plan.trial_images <= 1000


def test_unreadable_images_are_foretold(tmp_path: Path) -> None:
    class Spoilt(TinyImages):
        def image(self, row: int) -> bytes:
            return super().image(row)[: None if row % 10 else 20]

    plan = rehearse(Spoilt(50), NET, tmp_path / "s.zarr", trial_s=5)
    assert sorted(plan.unreadable) == [0, 10, 20, 30, 40]
