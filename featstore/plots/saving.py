"""Saving: figures as files that papers and slides take."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featstore.errors import InvalidInputError
from featstore.new_file import new_file
from featstore.plots.style import TEXT_AS_TEXT
from featstore.plots.svg import to_svg

SUFFIXES = (".svg", ".pdf", ".png")
#: What would tell when and with which version a file was written.
_UNNAMED = {
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".png": {"Software": None},
}


def save(drawn: Axes | Figure, path: str | Path, *, dpi: int = 300) -> Path:
    """Write a figure as its suffix says: ``.pdf``, ``.svg`` or ``.png``.

    Equal figures give equal files: they hold no date and no version.  Text in PDF is TrueType
    (type 42), as publishers ask for; text in SVG stays text.

    Parameters
    ----------
    drawn
        What a plot returned, or a figure of several.
    path
        The file; one that is there is replaced.
    dpi
        Of PNG.

    Returns
    -------
    path
        Of the file.

    Raises
    ------
    InvalidInputError
        If it has another suffix.
    StorageError
        If the disk refuses; there is then no file, or the old one.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise InvalidInputError(f"{path} must end in {', '.join(SUFFIXES)}")
    figure = drawn.get_figure(root=True) if isinstance(drawn, Axes) else drawn
    if not isinstance(figure, Figure):
        raise InvalidInputError("these axes belong to no figure any more, so nothing can be saved")
    with new_file(path) as temporary:
        if path.suffix == ".svg":
            temporary.write_text(f"{to_svg(figure)}\n", encoding="utf-8")
        else:
            with matplotlib.rc_context(TEXT_AS_TEXT):
                figure.savefig(
                    temporary,
                    dpi=dpi,
                    metadata=_UNNAMED[path.suffix],
                    facecolor=figure.get_facecolor(),
                )
    return path
