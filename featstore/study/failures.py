"""Failures: which cells failed, and why, kept between the runs of a study."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from featstore.errors import InvalidInputError
from featstore.local_folder import LocalFolder
from featstore.study.outcome import CellOutcome

_FORMAT = 1


class Failures:
    """Failures of cells; which ones succeeded is known from their stores.

    Parameters
    ----------
    path
        File that is replaced, all or nothing, with every change; None for memory alone.
    entries
        By the cell's key: request, error, message, time.
    """

    def __init__(self, path: Path | None, entries: dict[str, dict[str, Any]]) -> None:
        self._path, self._entries = path, entries

    @classmethod
    def read(cls, path: Path | None) -> Failures:
        """Read what `note` has written; none if there is no file.

        Raises
        ------
        InvalidInputError
            If the file is something else.
        """
        if path is None or not path.exists():
            return cls(path, {})
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            entries = document["failures"]
            known = document["format"] == _FORMAT and isinstance(entries, dict)
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise InvalidInputError(
                f"{path} does not hold the failures of a study; move it away (they will be tried "
                "again)"
            )
        return cls(path, entries)

    def of(self, key: str, request: str) -> tuple[str, str] | None:
        """Return error and message of a cell; None if it did not fail with this request.

        Parameters
        ----------
        key
            Of the cell.
        request
            What it asks for now; a changed cell has not failed yet.
        """
        entry = self._entries.get(key)
        if entry is None or entry.get("request") != request:
            return None
        return str(entry["error"]), str(entry["message"])

    def note(self, key: str, request: str, outcome: CellOutcome) -> None:
        """Keep a failure, or forget it where the cell has a run now."""
        if outcome.run is None:
            self._entries[key] = {
                "request": request,
                "error": outcome.error,
                "message": outcome.message,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        elif self._entries.pop(key, None) is None:
            return
        if self._path is not None:
            document = {"format": _FORMAT, "failures": self._entries}
            text = json.dumps(document, ensure_ascii=False, indent=1)
            LocalFolder(self._path.parent).write(self._path.name, [text.encode()])
