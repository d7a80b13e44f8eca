"""Sizes that shrink when memory runs out, and grow again."""

from __future__ import annotations

import pytest

from featstore.errors import InvalidInputError, OutOfMemoryError
from featstore.micro_batch import STEADY, MicroBatch


class Device:
    """A device with room for so many images."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.failures = 0

    def compute(self, size: int) -> int:
        if size > self.room:
            self.failures += 1
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has more")
        return size


def test_halves_until_it_fits_and_stays_there() -> None:
    device, batch = Device(20), MicroBatch(128)
    assert batch.run(device.compute) == 16
    assert batch.run(device.compute) == 16
    assert device.failures == 3


def test_grows_when_others_have_given_memory_back() -> None:
    device, batch = Device(20), MicroBatch(128)
    batch.run(device.compute)
    device.room = 1000
    sizes = [batch.run(device.compute) for _ in range(3 * STEADY + 1)]
    assert sizes[0] == 16
    assert sizes[-1] == 128


def test_attempts_to_grow_become_rare() -> None:
    device, batch = Device(20), MicroBatch(128)
    for _ in range(40 * STEADY):
        assert batch.run(device.compute) == 16
    # 3 to get there, then after 1, 2, 4, 8, 16 times so many calls.
    assert device.failures == 3 + 5


def test_one_image_too_many() -> None:
    with pytest.raises(OutOfMemoryError, match=r"for 1 image at a time: CUDA out of memory"):
        MicroBatch(8).run(Device(0).compute)
    with pytest.raises(OutOfMemoryError, match="for 3 images at a time"):
        MicroBatch(3, least=3).run(Device(2).compute)


def test_other_errors_pass() -> None:
    def fail(size: int) -> None:
        raise RuntimeError(f"no kernel for {size}")

    with pytest.raises(RuntimeError, match="no kernel for 8"):
        MicroBatch(8).run(fail)


@pytest.mark.parametrize(("size", "least"), [(0, 1), (4, 5), (4, 0)])
def test_sizes(size: int, least: int) -> None:
    with pytest.raises(InvalidInputError, match="is none"):
        MicroBatch(size, least=least)
