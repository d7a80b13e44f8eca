"""Ranks: what launchers set, and how work is divided by them."""

from __future__ import annotations

import pytest

from featstore.errors import InvalidInputError
from featstore.rank import Rank


def test_every_unit_has_one_owner() -> None:
    for count in (1, 2, 3, 7):
        owners = [[r for r in range(count) if Rank(r, count).owns(unit)] for unit in range(20)]
        assert all(len(owner) == 1 for owner in owners)
        sizes = [sum(owner == [r] for owner in owners) for r in range(count)]
        assert max(sizes) - min(sizes) <= 1


def test_environment() -> None:
    assert Rank.from_environment({}) is None
    assert Rank.from_environment({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert Rank.from_environment({"RANK": "3"}) is None
    assert Rank.from_environment({"RANK": "3", "WORLD_SIZE": "4"}) == Rank(3, 4)
    slurm = {"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "4"}
    first = {"SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_STEP": "1"}
    assert Rank.from_environment({**slurm, **first}) == Rank(3, 4)
    # A batch script that calls no srun has these; it is alone all the same.
    assert Rank.from_environment({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) is None


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "4", "WORLD_SIZE": "4"},
        {"RANK": "one", "WORLD_SIZE": "4"},
        # --array=1,5,7 has no regular step.
        {
            "SLURM_ARRAY_TASK_ID": "7",
            "SLURM_ARRAY_TASK_COUNT": "3",
            "SLURM_ARRAY_TASK_MIN": "1",
            "SLURM_ARRAY_TASK_STEP": "4",
        },
        {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1"},
    ],
)
def test_contradictions(variables: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="name no rank"):
        Rank.from_environment(variables)


@pytest.mark.parametrize("text", ["3", "3/2", "a/b", "-1/2", "0/0", ""])
def test_no_rank(text: str) -> None:
    with pytest.raises(InvalidInputError, match="rank"):
        Rank.parse(text)
