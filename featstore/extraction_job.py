"""ExtractionJob: an extraction, as another process is told of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from featstore.dataset import Dataset
from featstore.encoder import Encoder
from featstore.encoding_line import ExtractionSettings
from featstore.errors import InvalidInputError


@dataclass(frozen=True)
class ExtractionJob:
    """What every worker has to know; it can be pickled, and holds no images that are in files.

    Attributes
    ----------
    dataset
        The images, pickled; see `pickled`.
    load
        Loads the encoders, by the names of their features, in the worker.
    location
        Of the store, which exists.
    settings
        How.
    """

    dataset: bytes
    load: Callable[[], Mapping[str, Encoder]]
    location: str
    settings: ExtractionSettings


@dataclass(frozen=True)
class Step:
    """What a worker is told to do next.

    Attributes
    ----------
    rows
        A unit of work, or what is left of it.
    then
        The unit that will follow, which is decoded ahead; None if that is not known.
    """

    rows: range
    then: range | None = None


@dataclass(frozen=True)
class StepOutcome:
    """What became of a step.

    Attributes
    ----------
    images
        Images encoded.
    done
        Whether the unit is computed, or left to others; if not, the same step goes on with it.
    error
        That stopped it.
    details
        Of a worker that has just begun: what `ExtractionDesk` says of itself.
    """

    images: int = 0
    done: bool = True
    error: Exception | None = None
    details: Any = None


def pickled(dataset: Dataset) -> bytes:
    """Pickle a data set for other processes.

    Raises
    ------
    InvalidInputError
        If it cannot be sent.

    Examples
    --------
    >>> from featstore.datasets import ImageArrays
    >>> import numpy as np
    >>> data = pickled(ImageArrays(np.zeros((2, 4, 4), np.uint8)))
    >>> len(pickle.loads(data).samples)
    2
    """
    try:
        return pickle.dumps(dataset)
    except Exception as error:  # whatever its members raise
        raise InvalidInputError(
            f"these images ({type(dataset).__name__}) cannot be described to other processes: "
            f"{error}. Extract them with the engine 'inline'"
        ) from error


def portable(error: Exception) -> Exception:
    """Return an error that arrives in another process, with its trace as a note.

    Examples
    --------
    >>> portable(ValueError("no")).args
    ('no',)
    """
    import traceback

    try:
        travelled: Exception = pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - classes that cannot be made anew from their arguments
        travelled = RuntimeError(f"{type(error).__name__}: {error}")
    travelled.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    return travelled
