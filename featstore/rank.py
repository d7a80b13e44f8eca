"""Rank: which part of the work is this process's, where somebody starts several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from featstore.errors import InvalidInputError

#: What launchers set: a rank, their number, and where ranks begin and how far they are apart.
#: First torchrun's, then those of Slurm's job arrays.  SLURM_PROCID is not asked: a batch script
#: that never calls srun has it too.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", None, None),
    (
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_COUNT",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_STEP",
    ),
)


@dataclass(frozen=True)
class Rank:
    """One of several processes that divide units of work without talking to each other.

    Attributes
    ----------
    index
        Of this process, from 0.
    count
        Of processes.

    Raises
    ------
    InvalidInputError
        If there is no such process.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise InvalidInputError(
                f"rank {self.index} of {self.count} does not exist; ranks go from 0 to "
                f"{max(self.count - 1, 0)}"
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Rank:
        """Read ``"index/count"``.

        Raises
        ------
        InvalidInputError
            If the text is something else.

        Examples
        --------
        >>> Rank.parse("2/8")
        Rank(index=2, count=8)
        """
        index, slash, count = text.partition("/")
        if not (slash and index.strip().isdecimal() and count.strip().isdecimal()):
            raise InvalidInputError(f"a rank is given as INDEX/COUNT, such as 0/4; got {text!r}")
        return cls(int(index), int(count))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Rank | None:
        """Read what a launcher has set: RANK and WORLD_SIZE, or a Slurm array.

        Returns
        -------
        rank
            None where none of them says that there are several processes.

        Raises
        ------
        InvalidInputError
            If a launcher's variables contradict each other.

        Examples
        --------
        >>> Rank.from_environment({"RANK": "1", "WORLD_SIZE": "4"})
        Rank(index=1, count=4)
        >>> array = {"ID": "7", "COUNT": "3", "MIN": "5", "STEP": "2"}
        >>> Rank.from_environment({f"SLURM_ARRAY_TASK_{key}": n for key, n in array.items()})
        Rank(index=1, count=3)
        """
        for own, number, first, step in _LAUNCHERS:
            if own not in environment or number not in environment:
                continue
            try:
                index, count = int(environment[own]), int(environment[number])
                start = int(environment.get(first, 0)) if first else 0
                stride = int(environment.get(step, 1)) if step else 1
                if (index - start) % stride:
                    raise ValueError(f"{own} is not {first} plus a multiple of {step}")
                rank = cls((index - start) // stride, count)
            except (ValueError, ZeroDivisionError) as error:
                raise InvalidInputError(
                    f"{own}={environment[own]} and {number}={environment[number]} name no rank: "
                    f"{error}. Unset them, or give --rank INDEX/COUNT"
                ) from error
            if count > 1:
                return rank
        return None

    def owns(self, unit: int) -> bool:
        """Whether a unit of work is this process's: every `count`-th is.

        Examples
        --------
        >>> [unit for unit in range(7) if Rank(1, 3).owns(unit)]
        [1, 4]
        """
        return unit % self.count == self.index
