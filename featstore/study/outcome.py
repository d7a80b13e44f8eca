"""CellOutcome: what became of one cell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CellOutcome:
    """A run, or the error that came in its place.

    Attributes
    ----------
    run
        Its name in the store; None if the cell failed.
    error, message
        Type and text of the error; empty if there was none.
    warnings
        What was warned of, each once.
    """

    run: str | None
    error: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()

    @classmethod
    def failed(cls, error: BaseException, warnings: tuple[str, ...] = ()) -> CellOutcome:
        """Describe an error.

        Examples
        --------
        >>> CellOutcome.failed(ValueError("too few rows")).message
        'too few rows'
        """
        return cls(None, type(error).__name__, str(error) or type(error).__name__, warnings)
