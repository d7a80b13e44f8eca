"""The report: a store's runs as one page of HTML that needs nothing else."""

from __future__ import annotations

from featstore.html_report.page import report

__all__ = ["report"]
