"""SHA256SUMS: the checksum of every file of a folder, as ``sha256sum --check`` reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from featstore.folder import Folder

SUMS = "SHA256SUMS"


def render(digests: dict[str, str]) -> bytes:
    r"""Return the file's bytes: one line per file, sorted by name.

    Examples
    --------
    >>> render({"b": "0" * 64})[-4:]
    b'  b\n'
    """
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())).encode()


def write(folder: Path) -> None:
    """Write the checksums of all files below `folder` into it."""
    digests = {}
    for file in folder.rglob("*"):
        if file.is_file() and file.name != SUMS:
            with file.open("rb") as opened:
                digests[file.relative_to(folder).as_posix()] = hashlib.file_digest(
                    opened, "sha256"
                ).hexdigest()
    (folder / SUMS).write_bytes(render(digests))


def check(folder: Folder) -> list[tuple[str, str]]:
    """Compare a folder's files with its checksums.

    Returns
    -------
    problems
        Pairs of file name and what is wrong with it; empty if all is well, and also where the
        folder has no checksums because an older featstore wrote it.
    """
    try:
        content = folder.read(SUMS)
    except FileNotFoundError:
        return []
    promised = {}
    for line in content.decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        promised[name] = digest
    problems = [] if render(promised) == content else [(SUMS, "is not as it was written")]
    for name, digest in promised.items():
        try:
            found = hashlib.sha256(folder.read(name)).hexdigest()
        except (OSError, ValueError):
            problems.append((name, "is missing"))
            continue
        if found != digest:
            problems.append((name, "is not the file that was written"))
    return problems
