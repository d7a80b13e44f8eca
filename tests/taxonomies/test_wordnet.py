"""WordNet's files against NLTK's reader, and ImageNet's levels against the paper's procedure."""

import re
import shutil
import sys
import zipfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from featstore.errors import InvalidInputError, MissingDependencyError
from featstore.taxonomies import WordNet, imagenet

WORDNET = Path("/usr/share/wordnet")

needs_wordnet = pytest.mark.skipif(
    not (WORDNET / "data.noun").is_file(), reason="needs Debian's package wordnet-base"
)

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="timm has the list of classes")

# Three lines of the shape that wndb(5WN) describes: words and pointers are counted, words in
# hexadecimal, and a gloss may hold anything.
NOUNS = """\
  1 This software and database is being provided to you, the LICENSEE, by
00001740 03 n 01 entity 0 001 ~ 00002000 n 0000 | that which is perceived | or known @ 00009999 n
00002000 05 n 0b animal 0 animate_being 0 beast 0 brute 1 creature 0 fauna 0 a 0 b 0 c 0 d 0 e 0 \
003 @ 00001740 n 0000 ~ 00003000 n 0000 + 00001740 v 0101 | a living organism
00003000 05 n 01 Lassie 0 002 @i 00002000 n 0000 #m 00002000 n 0000 | a collie
"""


def write(folder, text=NOUNS):
    path = folder / "data.noun"
    path.write_text(text)
    return path


def test_lines_are_read_by_their_counts(tmp_path):
    path = write(tmp_path)
    wordnet = WordNet.read(tmp_path)
    assert wordnet.hypernyms == {
        "n00001740": (),
        "n00002000": ("n00001740",),
        "n00003000": ("n00002000",),
    }
    assert wordnet.words["n00002000"][:2] == ("animal", "animate being")
    assert len(wordnet.words["n00002000"]) == 11
    archive = tmp_path / "wordnet.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(path, "wordnet/data.noun")
    assert WordNet.read(archive).hypernyms == WordNet.read(path).hypernyms == wordnet.hypernyms


def test_what_is_not_wordnet_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="wordnet-base"):
        WordNet.read(tmp_path)
    write(tmp_path, NOUNS + "00004000 05 n 02 dog 0\n")
    with pytest.raises(InvalidInputError, match=r"line 5 of the nouns .* is no synset"):
        WordNet.read(tmp_path)
    write(tmp_path)
    with pytest.raises(InvalidInputError, match=r"1 of 2 classes .* 'n02084071'; .* WordNet 3\.0"):
        imagenet(tmp_path, ["n00002000", "n02084071"])
    archive = tmp_path / "other.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme.txt", "nothing")
    with pytest.raises(InvalidInputError, match=r"holds no data.noun"):
        WordNet.read(archive)


def test_without_timm_the_classes_must_be_given(tmp_path, monkeypatch):

    write(tmp_path)
    module = sys.modules["featstore.taxonomies.imagenet"]
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="timm"):
        imagenet(tmp_path)


@pytest.fixture(scope="module")
def wordnet():
    return WordNet.read(WORDNET)


@pytest.fixture(scope="module")
def nltk_wordnet(tmp_path_factory):
    nltk = pytest.importorskip("nltk")
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class OneVersion(WordNetCorpusReader):
        """Needs no other version of WordNet to translate between."""

        def map_wn(self, version="wordnet"):
            return None

    # Debian's package lacks the list of lexicographers' files, which only names subjects.
    folder = tmp_path_factory.mktemp("wordnet")
    (folder / "lexnames").write_text("".join(f"{i:02d}\tnoun.{i}\t1\n" for i in range(45)))
    for path in WORDNET.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    with pytest.MonkeyPatch.context() as patch:
        # NLTK reads below such folders only.
        patch.setattr(nltk.data, "path", [*nltk.data.path, str(folder)])
        with pytest.warns(UserWarning, match="multilingual"):
            reader = OneVersion(str(folder), None)
        yield reader


@needs_wordnet
def test_nouns_are_read_as_nltk_reads_them(wordnet, nltk_wordnet):
    lines = (WORDNET / "data.noun").read_text().splitlines()
    assert len(wordnet.hypernyms) == sum(not line.startswith(" ") for line in lines) == 82_115
    for name in list(wordnet.hypernyms)[::41]:
        synset = nltk_wordnet.synset_from_pos_and_offset("n", int(name[1:]))
        above = synset.hypernyms() + synset.instance_hypernyms()
        assert set(wordnet.hypernyms[name]) == {f"n{up.offset():08d}" for up in above}
        assert wordnet.words[name] == tuple(word.replace("_", " ") for word in synset.lemma_names())


def depth_counts(nltk_wordnet, classes, *, every_parent):
    """Number of categories at each depth, by NLTK's synsets and the paper's words alone.

    A category that lies too deep is replaced by its parents, until none does; a parent above
    another one adds nothing.
    """

    nouns = (WORDNET / "data.noun").read_bytes()

    @cache
    def up(synset):
        if every_parent:
            above = synset.hypernyms() or synset.instance_hypernyms()
            beyond = {s for parent in above for s in parent.closure(lambda s: s.hypernyms())}
            return [parent for parent in above if parent not in beyond]
        # NLTK sorts hypernyms by name.  A synset's number is its place in the file, in bytes.
        line = nouns[synset.offset() : nouns.index(b"|", synset.offset())].decode()
        listed = re.findall(r" @i? (\d{8}) n 0000", line)
        return [nltk_wordnet.synset_from_pos_and_offset("n", int(listed[0]))] if listed else []

    @cache
    def depth(synset):
        return max((depth(parent) + 1 for parent in up(synset)), default=0)

    current = {nltk_wordnet.synset_from_pos_and_offset("n", int(name[1:])) for name in classes}
    counts = {max(map(depth, current)): len(current)}
    while len(current) > 1:
        deepest = max(map(depth, current))
        merged = {synset for synset in current if depth(synset) < deepest}
        for synset in current - merged:
            merged.update(up(synset))
        current = merged
        counts[deepest - 1] = len(current)
    return counts


@needs_wordnet
@needs_timm
@pytest.mark.parametrize("parents", ["first", "all"])
def test_imagenet_has_the_documented_numbers_of_classes(wordnet, nltk_wordnet, parents):
    taxonomy = imagenet(wordnet, parents=parents)
    found = {
        int(level.removeprefix("Depth ")): len(names)
        for level, names in zip(taxonomy.levels, taxonomy.names, strict=True)
    }
    independent = depth_counts(nltk_wordnet, taxonomy.names[0], every_parent=parents == "all")
    assert found == {depth: count for depth, count in independent.items() if count > 1}
    documented = _documented()[parents]
    assert found == documented


@needs_wordnet
@needs_timm
def test_imagenet_by_one_parent_is_a_tree_and_by_all_is_not(wordnet):
    tree, graph = imagenet(wordnet), imagenet(wordnet, parents="all")
    assert tree.is_tree
    assert not graph.is_tree
    retriever = ["n02099601"]
    words = {
        name: {
            wordnet.words[taxonomy.names[i][code]][0]
            for i, belongs in enumerate(taxonomy.lineage(retriever))
            for code in belongs.indices
        }
        for name, taxonomy in (("tree", tree), ("graph", graph))
    }
    assert {"golden retriever", "dog", "canine", "carnivore", "mammal"} <= words["tree"]
    assert words["graph"] - words["tree"] == {"domestic animal"}


def _documented():
    """Read the table of docs/granularity.md."""
    page = Path(__file__).resolve().parents[2] / "docs" / "granularity.md"
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| Depth ")
    ]
    tables = {"first": {}, "all": {}}
    for level, first, every in rows:
        depth = int(level.removeprefix("Depth "))
        for name, cell in (("first", first), ("all", every)):
            if cell not in ("", "–"):
                tables[name][depth] = int(cell.replace(",", ""))
    return tables
