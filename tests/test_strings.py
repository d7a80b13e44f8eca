"""Strings as plain arrays; Python's own strings are the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.errors import InvalidInputError
from featstore.strings import pack, unpack


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_strings_round_trip(strings: list[str]) -> None:
    array = np.asarray(strings, str)
    again = unpack(*pack(array))
    assert again.tolist() == strings
    assert again.dtype == array.dtype


@pytest.mark.parametrize(
    ("data", "offsets", "problem"),
    [
        (b"abc", [], "0 offsets do not divide 3 bytes"),
        (b"abc", [1, 3], "the first must be 0"),
        (b"abc", [0, 2], "the last the number of bytes"),
        (b"abc", [0, 2, 1, 3], "no strings in UTF-8.*non-monotonic"),
        (b"abc", [0, 5, 3], "no strings in UTF-8.*out of bounds"),
        (b"abc", [0, 1 << 63, 3], "no strings in UTF-8"),
        (b"\xff\xfe", [0, 1, 2], "no strings in UTF-8"),
        ("ü".encode(), [0, 1, 2], "no strings in UTF-8"),
    ],
)
def test_bytes_that_are_no_strings(data: bytes, offsets: list[int], problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        unpack(np.frombuffer(data, np.uint8), np.asarray(offsets, np.uint64))
