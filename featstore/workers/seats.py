"""Seats: how many workers the machines have room for, and what each of them gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featstore.errors import InvalidInputError


@dataclass(frozen=True)
class Seats:
    """Workers of equal size.

    Attributes
    ----------
    count
        How many.
    cpus, gpus
        Of each.
    """

    count: int
    cpus: int
    gpus: int

    @classmethod
    def choose(
        cls, nodes: Sequence[Mapping[str, float]], count: int | None, *, device: str
    ) -> Seats:
        """Give each worker as many CPUs as there are, if all workers are to have a place at once.

        Parameters
        ----------
        nodes
            Resources of each machine: ``"CPU"`` and, where it has some, ``"GPU"``.
        count
            How many workers; by default one for each GPU, or for each machine where none is used.
        device
            ``"cpu"``; ``"cuda"``: a GPU for each; ``"auto"``: a GPU for each where there are some.

        Raises
        ------
        InvalidInputError
            If the machines have no room for so many.

        Examples
        --------
        >>> Seats.choose([{"CPU": 8}, {"CPU": 4}], None, device="auto")
        Seats(count=2, cpus=4, gpus=0)
        >>> Seats.choose([{"CPU": 16, "GPU": 4}], None, device="auto")
        Seats(count=4, cpus=4, gpus=1)
        """
        total = sum(int(node.get("GPU", 0)) for node in nodes)
        gpus = int(device == "cuda" or (device == "auto" and total > 0))
        if count is None:
            count = max(total if gpus else sum(node.get("CPU", 0) >= 1 for node in nodes), 1)
        most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        for cpus in range(most, 0, -1):
            if sum(_room(node, cpus, gpus) for node in nodes) >= count:
                return cls(count, cpus, gpus)
        have = ", ".join(
            f"{int(node.get('CPU', 0))} CPUs and {int(node.get('GPU', 0))} GPUs" for node in nodes
        )
        raise InvalidInputError(
            f"there is no room for {count} workers of a CPU{' and a GPU' * gpus} each: the "
            f"machines have {have or 'nothing'}; ask for fewer --processes"
        )


def _room(node: Mapping[str, float], cpus: int, gpus: int) -> int:
    """Workers of this size that a machine takes."""
    room = int(node.get("CPU", 0)) // cpus
    return min(room, int(node.get("GPU", 0)) // gpus) if gpus else room
