"""WordNet: the nouns of Princeton's data files, with what they are kinds of.

The format is described in the manual page wndb(5WN) of WordNet 3.0.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from featstore.ancestors import named
from featstore.errors import InvalidInputError
from featstore.taxonomies.parents import from_parents
from featstore.taxonomy import Taxonomy

#: Pointers to what a noun is a kind of, and to what a name is an instance of.
_UP = ("@", "@i")


@dataclass(frozen=True, eq=False)
class WordNet:
    """The nouns of one version of WordNet; made by `WordNet.read`.

    Attributes
    ----------
    hypernyms
        Synset -> its hypernyms in the order of the file.  A synset is named as ImageNet does it:
        ``n`` and eight digits, its place in the file.
    words
        Synset -> its words, the most usual first.
    """

    hypernyms: Mapping[str, tuple[str, ...]]
    words: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, path: str | Path) -> WordNet:
        """Read the nouns.

        Parameters
        ----------
        path
            ``data.noun``, a folder that holds it (``/usr/share/wordnet`` with Debian's package
            wordnet-base, ``dict`` in Princeton's archive, ``corpora/wordnet`` of NLTK), or a ZIP
            file of such a folder.

        Raises
        ------
        InvalidInputError
            If there is no such file, or it has another format.
        """
        hypernyms, words = {}, {}
        for number, line in enumerate(_lines(Path(path)), 1):
            if line.startswith(" "):  # the licence
                continue
            try:
                synset, hypernyms_here, words_here = _synset(line)
            except (ValueError, IndexError) as error:
                raise InvalidInputError(
                    f"line {number} of the nouns in {path} is no synset: {line[:60]!r}"
                ) from error
            hypernyms[synset], words[synset] = hypernyms_here, words_here
        return cls(hypernyms, words)

    def taxonomy(
        self, classes: Sequence[str], *, parents: Literal["first", "all"] = "first"
    ) -> Taxonomy:
        """Cut the hierarchy above some synsets at every depth; see `from_parents`.

        Parameters
        ----------
        classes
            Synsets, in the order of their codes.
        parents
            Of a synset with several hypernyms: ``"first"`` keeps the one that WordNet lists first,
            which leaves a tree; ``"all"`` keeps all.

        Raises
        ------
        InvalidInputError
            If a class is no synset of these files.

        Examples
        --------
        >>> wordnet = WordNet({"n01": ("n03",), "n02": ("n04", "n05"), "n03": ("n05",),
        ...                    "n04": ("n05",), "n05": ()}, {})
        >>> wordnet.taxonomy(["n01", "n02"]).names
        (('n01', 'n02'), ('n03', 'n04'))
        """
        if strangers := [name for name in classes if name not in self.hypernyms]:
            raise InvalidInputError(
                f"{len(strangers)} of {len(classes)} classes are no synsets of these files: "
                f"{named(strangers)}; expected names such as n02084071, which belong to one "
                "version (ImageNet's to WordNet 3.0)"
            )
        up = self.hypernyms
        if parents == "first":
            up = {synset: above[:1] for synset, above in up.items()}
        return from_parents(up, classes)


def _lines(path: Path) -> list[str]:
    if path.is_dir():
        path /= "data.noun"
    if not path.is_file():
        raise InvalidInputError(
            f"there is no {path}; install Debian's package wordnet-base and pass "
            "/usr/share/wordnet, or pass the folder that holds data.noun"
        )
    if not zipfile.is_zipfile(path):
        return path.read_text(encoding="utf-8").splitlines()
    with zipfile.ZipFile(path) as archive:
        if found := [name for name in archive.namelist() if name.endswith("/data.noun")]:
            return archive.read(found[0]).decode("utf-8").splitlines()
    raise InvalidInputError(f"the archive {path} holds no data.noun")


def _synset(line: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Name, hypernyms and words of one line: two counts say where words and pointers end."""
    fields = line.partition(" | ")[0].split()
    n_words = int(fields[3], 16)
    words = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * n_words : 2])
    start = 5 + 2 * n_words
    pointers = range(start, start + 4 * int(fields[start - 1]), 4)
    up = [f"n{fields[i + 1]}" for symbol in _UP for i in pointers if fields[i] == symbol]
    return f"n{int(fields[0]):08d}", tuple(up), words
