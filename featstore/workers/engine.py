"""Engine: where work is computed."""

from __future__ import annotations

from typing import Literal, get_args

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

#: In this process, in several of this machine, on a Ray cluster.
Engine = Literal["inline", "processes", "ray"]


def check_engine(engine: str, count: int | None, *, what: str) -> None:
    """Refuse engines that there are not, and fewer workers than one.

    Parameters
    ----------
    engine
        Its name.
    count
        Workers that were asked for; None for the engine's own number.
    what
        That is to be computed, for the message.

    Raises
    ------
    InvalidInputError
        With the nearest name there is.

    Examples
    --------
    >>> check_engine("ray", 4, what="a study")
    """
    if engine not in get_args(Engine):
        known = did_you_mean(engine, get_args(Engine))
        raise InvalidInputError(f"there is no engine {engine!r} for {what}. {known}")
    if count is not None and count < 1:
        raise InvalidInputError(f"{what} needs at least one worker, got {count}")
