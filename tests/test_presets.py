"""Presets name estimators that exist and take what they are given."""

from __future__ import annotations

import pytest

from featstore.errors import InvalidInputError
from featstore.presets import DEFAULT_PRESETS, PRESETS, preset
from featstore.registry import PROBES, probe


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_an_estimator_takes_the_preset(name: str) -> None:
    protocol = PRESETS[name]
    estimator = probe(protocol.probe)(**protocol.arguments)
    assert estimator.get_params().items() >= protocol.arguments.items()
    assert estimator.parameter in estimator.get_params()
    # Without values the estimator must know one by itself.
    assert protocol.values or isinstance(estimator.get_params()[estimator.parameter], str)
    for value in protocol.values:
        assert estimator.parameter_type(value) == value


def test_every_probe_has_a_default_preset() -> None:
    assert set(DEFAULT_PRESETS) == set(PROBES)
    for name, default in DEFAULT_PRESETS.items():
        assert preset(default).probe == name


def test_presets_can_be_told_apart_in_sets() -> None:
    assert len(set(PRESETS.values())) == len(PRESETS)


def test_a_mistyped_name_is_corrected() -> None:
    with pytest.raises(InvalidInputError, match=r"'simpelshot'\. Did you mean simpleshot"):
        preset("simpelshot")
