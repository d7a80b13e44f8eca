"""Kill writers at random moments, resume, and compare with an uninterrupted store.

Several processes at a time write one feature, each shard with the same values; each is killed
after a random time, and another takes its place, until the feature is sealed.  The test suite
does this a few dozen times.  For more:

    python tests/support/kill_writers.py --kills 1000 --writers 3
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray
from small_store import make_samples, make_spec

from featstore.errors import InvalidInputError, NotSealedError
from featstore.history import HISTORY
from featstore.store import FeatureStore

ROWS, DIM = 5000, 96
SAMPLES = make_samples(ROWS)


@cache
def values() -> NDArray[np.float32]:
    """Return what every writer writes."""
    return np.random.default_rng(7).standard_normal((ROWS, DIM)).astype(np.float32)


def write(path: Path, *, wait: bool = True) -> None:
    """Start or resume the feature, slowly enough to be killed anywhere."""
    writer = FeatureStore.open(path).writer("x", make_spec(SAMPLES, dim=DIM))
    try:
        for shard in writer.pending():
            rows = writer.layout.shard_range(shard)
            bad = {7: "torn"} if shard == 0 else None
            writer.put(shard, values()[rows.start : rows.stop], excluded=bad, wait=wait)
            time.sleep(0.002)
        writer.seal()
    except InvalidInputError as error:
        # Another writer was faster.
        if "complete" not in str(error):
            raise


def tree_digest(path: Path) -> dict[str, str]:
    """Sha256 of every file of a store, the history aside."""
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != HISTORY
    }


class Victims:
    """Processes that do the same piece of work, and are killed until one has done it.

    Parameters
    ----------
    work
        What they do; it resumes what others have begun.
    rng
        Draws the moments.
    longest
        Seconds that a process lives at most.
    """

    def __init__(self, work: Callable[[], None], rng: random.Random, *, longest: float) -> None:
        self._work = work
        self._rng = rng
        self._longest = longest
        self._ends: dict[int, float] = {}

    def kill_until_done(self, n: int, *, limit: int, check: Callable[[], None]) -> int:
        """Keep `n` processes at work until one ends well, and count the kills.

        Parameters
        ----------
        n
            How many.
        limit
            After so many kills, they are left in peace.
        check
            Called after every kill.
        """
        kills = 0
        while True:
            while len(self._ends) < n:
                self._ends[self._begin()] = time.monotonic() + self._rng.uniform(0, self._longest)
            time.sleep(0.001)
            if self._has_ended():
                break
            late = [p for p, end in self._ends.items() if time.monotonic() >= end]
            for process in late[: limit - kills]:
                os.kill(process, signal.SIGKILL)
                status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
                # It may just have come to its end; then the next one finds that all is done.
                assert status in (0, -signal.SIGKILL), f"a process failed with status {status}"
                del self._ends[process]
                kills += status != 0
                check()
        for process in list(self._ends):  # the rest finds that all is done
            status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            assert status == 0, f"a late process failed with status {status}"
        self._ends.clear()
        return kills

    def _begin(self) -> int:
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            self._work()
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it was, the parent fails
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _has_ended(self) -> bool:
        """Whether one has done the work."""
        for process in list(self._ends):
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                del self._ends[process]
                assert os.waitstatus_to_exitcode(status) == 0, "a process failed; see above"
                return True
        return False


def check_readers(path: Path) -> None:
    """Nobody sees an unfinished row: neither featstore nor a stock reader."""
    folder = path / "features" / "x"
    if not (folder / "zarr.json").exists():
        return
    seen = zarr.open_array(folder, mode="r")
    expected = values().astype(np.float16)
    expected[7] = np.nan
    if seen.shape[0]:
        np.testing.assert_array_equal(seen[:], expected)
    try:
        X = FeatureStore.open(path).view("x").array()
    except NotSealedError:
        assert seen.shape == (0, DIM)
        return
    np.testing.assert_array_equal(X, np.delete(expected, 7, axis=0))


def run(folder: Path, kills: int, *, seed: int = 0, writers: int = 1) -> int:
    """Kill at least `kills` processes over as many stores as needed; return the number.

    Parameters
    ----------
    folder
        Where the stores are made.
    kills
        How many.
    seed
        Of the moments.
    writers
        Processes that write one feature at a time.
    """
    reference = FeatureStore.create(folder / "reference.zarr", SAMPLES)
    write(reference.path)
    wanted = tree_digest(reference.path)
    rng = random.Random(seed)
    done = stores = 0
    while done < kills:
        path = folder / f"{stores}.zarr"
        FeatureStore.create(path, SAMPLES)
        work = partial(write, path, wait=stores % 2 == 0)
        victims = Victims(work, rng, longest=0.12 * writers)
        done += victims.kill_until_done(
            writers, limit=kills - done, check=partial(check_readers, path)
        )
        write(path)  # the next writer tidies up
        got = tree_digest(path)
        assert got == wanted, sorted(set(got.items()) ^ set(wanted.items()))
        stores += 1
    return done


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--writers", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="a disk to do it on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        count = run(
            Path(scratch),
            options.kills,
            seed=options.seed,
            writers=options.writers,
        )
    print(f"{count} processes killed; every store came out bit-identical")
