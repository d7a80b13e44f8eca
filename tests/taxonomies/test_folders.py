"""Folders: nesting becomes levels."""

import pytest

from featstore.errors import InvalidInputError
from featstore.taxonomies import from_folders, from_paths

PATHS = ["bat", "bird/owl/barn owl", "bird/wren"]


@pytest.mark.parametrize("splits", [[""], ["train", "test"]])
def test_nested_folders(tmp_path, splits):
    for split in splits:
        for path in PATHS:
            folder = tmp_path / split / path
            folder.mkdir(parents=True)
            (folder / "1.JPG").touch()
        (tmp_path / split / "notes").mkdir()
        (tmp_path / split / "notes" / "readme.txt").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "1.jpg").touch()
    taxonomy = from_folders(tmp_path)
    assert taxonomy == from_paths(PATHS)
    assert taxonomy.levels == ("Depth 2", "Depth 1", "Depth 0")
    assert taxonomy.names[1:] == (("bat", "bird/owl", "bird/wren"), ("bat", "bird"))
    assert from_folders(tmp_path, names="last").names[0] == ("bat", "barn owl", "wren")


def test_a_folder_with_images_and_folders_is_a_class_and_a_parent():
    taxonomy = from_paths(["bird", "bird/wren", "bat"])
    assert taxonomy.coarsen(["bird", "bird/wren", "bat"], "Depth 0")[1].tolist() == [0, 0, 1]


def test_names_that_would_be_two_things_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"'bird/owl' and 'toy/owl' .* called 'owl'"):
        from_paths(["bird/owl", "toy/owl"], names="last")
    with pytest.raises(InvalidInputError, match=r"called 'bird'"):
        from_paths(["bird/wren", "toy/bird"], names="last")
    with pytest.raises(InvalidInputError, match="no coarser level"):
        from_paths(["a", "b"])
    with pytest.raises(InvalidInputError, match="no images in folders"):
        from_folders(tmp_path)
