"""Locations: paths and URLs, and the folders behind them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from featstore.folder import Folder
from featstore.local_folder import LocalFolder

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(location: str | Path) -> bool:
    r"""Whether a location is a URL rather than a path.

    Examples
    --------
    >>> is_url("s3://bucket/birds.zarr"), is_url("birds.zarr"), is_url(r"C:\\birds.zarr")
    (True, False, False)
    """
    return isinstance(location, str) and bool(_URL.match(location))


def open_folder(location: str | Path, **options: Any) -> Folder:
    """Return the folder at a path or URL, whether it exists or not.

    Parameters
    ----------
    location
        A path, ``file://``, or ``s3://``, ``gs://``, ``az://``, ``http(s)://``.
    options
        For object storage, e.g. ``endpoint="http://localhost:9000"``; the usual environment
        variables (``AWS_…``, ``GOOGLE_…``, ``AZURE_…``) are read as well.  See docs/remote.md.
    """
    if is_url(location) and not str(location).startswith("file://"):
        from featstore.object_folder import ObjectFolder

        return ObjectFolder.at(str(location), **options)
    if is_url(location):
        location = unquote(urlsplit(str(location)).path)
    return LocalFolder(Path(location))
