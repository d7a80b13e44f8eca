"""Formats: which reader takes which file or folder, told from its content."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from featstore.errors import InvalidInputError
from featstore.imports.files import in_order, readable
from featstore.imports.source import Source, stacked_files
from featstore.suggest import did_you_mean

Reader = Callable[[Path, str | None], Source]


@dataclass(frozen=True)
class Format:
    """A layout that can be imported.

    Attributes
    ----------
    name
        As ``--format`` takes it.
    reader
        ``"module:function"`` in `featstore.imports`.
    suffixes
        Of single files.
    description
        What its files are called, for people.
    folder
        Whether the reader takes a folder as a whole; else its files are read one by one and put
        below each other.
    """

    name: str
    reader: str
    suffixes: tuple[str, ...]
    description: str
    folder: bool = False

    def read(self, path: Path, key: str | None) -> Source:
        """Read a file or folder; see `read_source`."""
        module, _, function = self.reader.partition(":")
        reader: Reader = getattr(importlib.import_module(f"featstore.imports.{module}"), function)
        if self.folder or path.is_file():
            return reader(path, key)
        files = in_order(path, *self.suffixes)
        if not files:
            raise InvalidInputError(f"no {' or '.join(self.suffixes)} files in {path}")
        layout = f"folder of {self.description}"
        return stacked_files(files, lambda file: reader(file, key), layout, path)


#: Folders with a layout of their own come first: their files alone mean less.
FORMATS = {
    form.name: form
    for form in (
        Format("clip-retrieval", "clip_retrieval:read", (), "clip-retrieval folder", folder=True),
        Format("eva", "eva:read", (), "eva embeddings folder", folder=True),
        Format("thingsvision", "thingsvision:read", (), "thingsvision folder", folder=True),
        Format("npy", "numpy_files:read_npy", (".npy",), "NumPy files"),
        Format("npz", "numpy_files:read_npz", (".npz",), "NumPy archives"),
        Format("safetensors", "safetensors_file:read", (".safetensors",), "safetensors files"),
        Format("parquet", "tables:read_parquet", (".parquet", ".pq"), "Parquet files"),
        Format("arrow", "tables:read_arrow", (".arrow", ".feather"), "Arrow files"),
        Format("anndata", "h5ad:read", (".h5ad",), "AnnData files"),
        Format("hdf5", "hdf5:read", (".h5", ".hdf5"), "HDF5 files"),
        Format("torch", "torch_files:read", (".pt", ".pth"), "torch files", folder=True),
    )
}
_MAGIC = {
    b"\x93NUMPY": "npy",
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"\x80\x02": "torch",  # torch's files before 1.6: bare pickles
}


def read_source(path: str | Path, *, form: str | None = None, key: str | None = None) -> Source:
    """Read a file or folder of features.

    Parameters
    ----------
    path
        The file or folder.
    form
        Name of a format of `FORMATS`; None tells it from the content.
    key
        Array, tensor, data set or column that holds the features; None takes the usual one.

    Returns
    -------
    source
        Values, not read yet, and columns.

    Raises
    ------
    InvalidInputError
        If nothing is there, the format is unknown, or the content damaged.
    """
    path = Path(path)
    if not path.exists():
        raise InvalidInputError(f"{path} does not exist; a local file or folder is needed")
    if form is not None and form not in FORMATS:
        raise InvalidInputError(f"there is no format {form!r}. {did_you_mean(form, FORMATS)}")
    return FORMATS[form or recognised(path)].read(path, key)


def recognised(path: Path) -> str:
    """Tell the format of a file or folder from its content.

    Raises
    ------
    InvalidInputError
        If it is none of the known ones.
    """
    name = _folder_format(path) if path.is_dir() else _file_format(path)
    if name is None:
        raise InvalidInputError(
            f"{path} is of no known format; say which with --format. There are: "
            f"{', '.join(FORMATS)}"
        )
    return name


def _file_format(path: Path) -> str | None:
    with readable(path, "a file"), path.open("rb") as file:
        head = file.read(16)
    suffix = path.suffix.lower()
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return "anndata" if suffix == ".h5ad" else name
    if head.startswith(b"PK"):
        # Both are zip archives.
        return "npz" if suffix == ".npz" else "torch"
    # The length of a JSON header, then the header.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100 << 20:
        return "safetensors"
    named = [name for name, form in FORMATS.items() if suffix in form.suffixes]
    return named[0] if named else None


def _folder_format(path: Path) -> str | None:
    if path.name in ("img_emb", "text_emb") or any(
        (path / name).is_dir() for name in ("img_emb", "text_emb")
    ):
        return "clip-retrieval"
    if (path / "manifest.csv").is_file():
        return "eva"
    if any((folder / "file_names.txt").is_file() for folder in (path, path.parent)):
        return "thingsvision"
    return next((n for n, form in FORMATS.items() if in_order(path, *form.suffixes)), None)
