"""Check: one thing that was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes
    ----------
    area
        What it is about: ``python``, ``packages``, ``extras``, ``torch``, ``processor``, …
    subject
        What was looked at.
    state
        ``ok``; ``note`` where something could be better or is not there and need not be;
        ``problem`` where featstore will not work as it should.
    found
        What is there.
    advice
        What to do; empty where there is nothing to do.

    Examples
    --------
    >>> Check("packages", "torch", "problem", "not installed", "pip install torch").state
    'problem'
    """

    area: str
    subject: str
    state: State
    found: str
    advice: str = ""
