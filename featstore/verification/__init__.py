"""verify: every promise that a store makes, checked against its bytes; and what can be repaired."""

from __future__ import annotations

from featstore.verification.finding import Finding
from featstore.verification.repairs import Repair, repair
from featstore.verification.store_check import verify

__all__ = ["Finding", "Repair", "repair", "verify"]
