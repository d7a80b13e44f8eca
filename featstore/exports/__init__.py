"""Exports: features of a store, with ids, splits and labels, as files of other formats."""

from featstore.exports.export_file import EXPORTS, Exported, export

__all__ = ["EXPORTS", "Exported", "export"]
