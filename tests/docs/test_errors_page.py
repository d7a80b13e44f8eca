"""The page of errors quotes messages that the code has."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import featstore.errors
from featstore.errors import StoreNotFoundError
from featstore.store import FeatureStore

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "messages", REPOSITORY / "docs" / "site" / "messages.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["messages"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def raised(site: ModuleType) -> list[Any]:
    """Return the messages of the code; reading all of it takes a second."""
    found: list[Any] = site.messages(REPOSITORY)
    return found


def quoted() -> list[str]:
    page = (REPOSITORY / "docs" / "errors.md").read_text()
    return re.findall(r"^### `(.*)`$", page, re.MULTILINE)


def test_every_quoted_message_is_in_the_code(raised: list[Any]) -> None:
    known = {message.text for message in raised}
    assert len(quoted()) > 20
    assert [text for text in quoted() if text not in known] == []


def test_messages_are_read_as_they_are_raised(raised: list[Any], tmp_path: Path) -> None:
    assert {message.error for message in raised} <= set(vars(featstore.errors))
    with pytest.raises(StoreNotFoundError) as info:
        FeatureStore.open(tmp_path / "none.zarr")
    matching = [message for message in raised if message.pattern.fullmatch(str(info.value))]
    assert "StoreNotFoundError" in {message.error for message in matching}


def test_choices_and_sums_of_texts(site: ModuleType, tmp_path: Path) -> None:
    for folder in ("featstore", "probes", "backbones", "cli"):
        (tmp_path / folder).mkdir()
    (tmp_path / "featstore" / "errors.py").write_text("class WrongError(Exception): ...\n")
    (tmp_path / "probes" / "a.py").write_text(
        "raise WrongError(f'{n} is ' + ('much' if n else 'nothing'))\n"
        "raise ValueError('not ours')\n"
    )
    assert [message.text for message in site.messages(tmp_path)] == [
        "… is much",
        "… is nothing",
    ]
