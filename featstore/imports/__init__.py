"""Imports: features that other tools made, each format in the layout its writer gives it.

A module reads one family of formats and returns a `featstore.imports.source.Source`; nothing in
here knows of stores.
"""

from featstore.imports.foreign import ForeignFeatures
from featstore.imports.formats import FORMATS, read_source

__all__ = ["FORMATS", "ForeignFeatures", "read_source"]
