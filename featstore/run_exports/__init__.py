"""Run exports: a stored run as a model that other programs load, or as a page about it."""

from __future__ import annotations

from featstore.run_exports.run_file import RUN_EXPORTS, ExportedRun, export_run

__all__ = ["RUN_EXPORTS", "ExportedRun", "export_run"]
