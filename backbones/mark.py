"""Mark: what a source stands for right now, told without loading it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from featstore.backbones.source import parse_source

_LIBRARIES = ("torch", "torchvision", "timm", "onnxruntime")


def mark(source: str) -> dict[str, str]:
    """Return what must be unchanged for a source to give the same features again.

    Comparing marks spares a repeated extraction the seconds that loading weights takes.  It
    errs on the safe side: a touched file or a new library version means loading, and comparing
    digests.

    Returns
    -------
    mark
        Versions of the libraries; size and modification time of a weight file.

    Examples
    --------
    >>> sorted(mark("torchvision/resnet50"))[-2:]
    ['torch', 'torchvision']
    """
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    parsed = parse_source(source)
    if parsed.is_file and Path(parsed.model).exists():
        status = Path(parsed.model).stat()
        found["file"] = f"{status.st_size} bytes, modified {status.st_mtime_ns}"
    return found
