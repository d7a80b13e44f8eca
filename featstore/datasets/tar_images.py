"""Images in tar files, as WebDataset writes them; on this machine, in a bucket or on a web server.

The convention is that of https://github.com/webdataset/webdataset: files that follow each other and
have the same path up to the first dot of their name are one sample.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from featstore.datasets.held_out import held_out
from featstore.datasets.image_files import describe
from featstore.datasets.label_columns import is_label, label_sets, labels
from featstore.datasets.range_file import open_ranges, read_range
from featstore.datasets.tar_index import TarSample, index_tar
from featstore.errors import InvalidInputError
from featstore.holdout import HoldOut
from featstore.location import is_url
from featstore.object_client import REQUESTS
from featstore.progress import progress_bar
from featstore.samples import Samples, Target
from featstore.splits import canonical_split, is_split

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
#: Numbers and words in the name of a shard, one of which may be a split.
_WORDS = re.compile(r"[A-Za-z]+")
_INDEX = "wids-shard-index-v1"


class TarImages:
    """Images in tar files; made by `TarImages.open`.

    Parameters
    ----------
    shards
        Samples of each tar file, by its path or URL.
    samples, source
        See `featstore.dataset.Dataset`.
    """

    def __init__(
        self,
        shards: Sequence[tuple[str, list[TarSample]]],
        samples: Samples,
        source: dict[str, Any],
    ) -> None:
        self.samples = samples
        self.source = source
        self._places = [place for place, _ in shards]
        self._shard = np.repeat(np.arange(len(shards)), [len(found) for _, found in shards])
        every = list(itertools.chain.from_iterable(found for _, found in shards))
        self._start = np.asarray([sample.start for sample in every], np.int64)
        self._size = np.asarray([sample.size for sample in every], np.int64)

    @classmethod
    def open(
        cls,
        place: str | Path | Sequence[str | Path],
        *,
        image: str | None = None,
        id: str | None = None,  # noqa: A002  what everybody calls it
        hold_out: HoldOut | None = HoldOut(),
    ) -> TarImages:
        """Look through tar files, several at a time; images are passed over by their sizes.

        Ids are ``shard/key``, with the shard's name without ``.tar``, such as
        ``birds-train-000000/000000017``.  Where the name of every shard has train, val, validation
        or test as a word, those are the splits; else a field ``split`` of ``.json``, if there is
        one.  Targets are ``.cls``, called ``cls``, and the fields of ``.json`` with text, whole
        numbers or lists of text, except those with another value in every sample.

        Parameters
        ----------
        place
            Tar files: one, several, ``shard-{000..009}.tar``, a pattern with ``*``, a folder of
            them, or an index of the kind that ``featstore subset`` and WebDataset's ``wids`` write;
            paths or URLs, of which patterns and folders need paths.
        image
            Suffix of the image among the members of a sample, where several are images.
        id
            Field of ``.json`` with unique ids instead.
        hold_out
            Draws a test split where there are no splits; None leaves the samples without.

        Raises
        ------
        InvalidInputError
            If there are no tar files, or one cannot be read or holds samples without an image.
        """
        given = [place] if isinstance(place, str | Path) else list(place)
        places = list(itertools.chain.from_iterable(_shards(str(one)) for one in given))
        look = partial(index_tar, image=image)
        with (
            progress_bar("index", len(places), unit="tar files") as advance,
            ThreadPoolExecutor(
                min(len(places), REQUESTS), thread_name_prefix="tar-index"
            ) as threads,
        ):
            shards = []
            for one, found in zip(places, threads.map(look, places), strict=True):
                shards.append((one, found))
                advance(1)
        samples = _samples(shards, id)
        source: dict[str, Any] = {"kind": "wds"}
        if len(given) == 1:  # several files are not one argument of a command
            one = str(given[0])
            source = describe(
                "wds", one if is_url(one) else str(Path(one).absolute()), image=image, id=id
            )
        samples, source = held_out(samples, source, hold_out)
        return cls(shards, samples, source)

    def image(self, row: int) -> bytes:
        """Read the encoded image of a row, and nothing else of the tar file."""
        place = self._places[self._shard[row]]
        return read_range(place, int(self._start[row]), int(self._size[row]))


def expand_braces(pattern: str) -> list[str]:
    """Return all names that a pattern with braces stands for.

    Examples
    --------
    >>> expand_braces("{a,b}-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b-08.tar', 'b-09.tar', 'b-10.tar']
    """
    braces = _BRACES.search(pattern)
    if braces is None:
        return [pattern]
    numbers = _RANGE.fullmatch(braces[1])
    if numbers:
        first, last = int(numbers[1]), int(numbers[2])
        if last < first:
            raise InvalidInputError(f"the range {{{braces[1]}}} of {pattern} is empty")
        options = [f"{n:0{len(numbers[1])}d}" for n in range(first, last + 1)]
    else:
        options = braces[1].split(",")
    head, tail = pattern[: braces.start()], pattern[braces.end() :]
    return [f"{head}{option}{rest}" for option in options for rest in expand_braces(tail)]


def _shards(place: str) -> list[str]:
    """Return the tar files behind one word."""
    if not is_url(place):
        path = Path(place)
        if path.is_dir():
            found = sorted(str(file) for file in path.glob("*.tar"))
            if not found:
                raise InvalidInputError(f"there are no .tar files in {place}")
            return found
        if "*" in path.name:
            found = sorted(str(file) for file in path.parent.glob(path.name))
            if not found:
                raise InvalidInputError(f"no file is called {place}")
            return found
    if place.endswith(".json"):
        return _listed(place)
    return expand_braces(place)


def _listed(index: str) -> list[str]:
    with open_ranges(index) as file:
        content = file.read()
    try:
        document = json.loads(content)
        names = [str(shard["url"]) for shard in document["shardlist"]]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{index} is no index of shards ({_INDEX}): {error!r}") from error
    parent = index.rpartition("/")[0]
    return [n if is_url(n) or n.startswith("/") or not parent else f"{parent}/{n}" for n in names]


def _samples(shards: Sequence[tuple[str, list[TarSample]]], id_field: str | None) -> Samples:
    import pandas as pd

    stems = [place.rpartition("/")[2].removesuffix(".tar") for place, _ in shards]
    if len(set(stems)) != len(stems):
        again = next(stem for stem in stems if stems.count(stem) > 1)
        raise InvalidInputError(
            f"two tar files are called {again}.tar; ids begin with the name, which must be unique"
        )
    every = [sample for _, found in shards for sample in found]
    ids = [f"{stem}/{s.key}" for stem, (_, found) in zip(stems, shards, strict=True) for s in found]
    frame = pd.DataFrame([dict(sample.fields) for sample in every], dtype=object)
    if id_field is not None:
        if id_field not in frame or frame[id_field].isna().any():
            raise InvalidInputError(f"not every sample has the field {id_field!r} in its .json")
        ids = frame.pop(id_field).astype(str).tolist()
    splits = _splits(stems, [len(found) for _, found in shards])
    if splits is None and "split" in frame and not frame["split"].isna().any():
        splits = [canonical_split(str(name)) for name in frame.pop("split")]
    sizes = np.asarray([sample.size for sample in every], np.uint64)
    return Samples(
        np.asarray(ids),
        np.asarray(splits if splits is not None else [""] * len(ids), str),
        _targets(frame),
        sizes,
    )


def _splits(stems: Sequence[str], lengths: Sequence[int]) -> list[str] | None:
    """Return the splits that the names of all shards say, or None."""
    said = [next((w for w in _WORDS.findall(stem) if is_split(w)), None) for stem in stems]
    if any(word is None for word in said):
        return None
    return [
        canonical_split(str(word)) for word, n in zip(said, lengths, strict=True) for _ in range(n)
    ]


def _targets(frame: Any) -> dict[str, Target]:
    found = {}
    for name in frame.columns:
        column = frame[name]
        lists = column.map(lambda cell: isinstance(cell, list))
        if lists.any() and (lists | column.isna()).all():
            if column.map(
                lambda c: isinstance(c, list) and all(isinstance(x, str) for x in c)
            ).all():
                found[str(name)] = label_sets(column)
        elif is_label(column) and column.nunique() > 1 and "/" not in str(name):
            found[str(name)] = labels(column, listed_in="the tar files", missing="keep")
    return found
