"""SHA256SUMS: the checksum of every file of a folder, as ``sha256sum --check`` reads it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from featstore.errors import CorruptStoreError
from featstore.folder import Folder

SUMS = "SHA256SUMS"
_LAST_LINE = "# SHA-256 of the lines above: "
#: Characters that would end a line; `sha256sum` writes them this way, with a ``\`` in front.
_ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r"}
_PIECE = 8 << 20


def render(digests: Mapping[str, str]) -> bytes:
    r"""Return the file's bytes: one line per file, sorted by name, and a digest of these lines.

    The last line is a comment to ``sha256sum``.  With it, damage to this file is told from damage
    to the files it lists.

    Examples
    --------
    >>> print(render({"b": "0" * 8, "a": "1" * 8}).decode()[:36])
    11111111  a
    00000000  b
    # SHA-256 of
    """
    lines = "".join(_line(name, digest) for name, digest in sorted(digests.items())).encode()
    return lines + f"{_LAST_LINE}{hashlib.sha256(lines).hexdigest()}\n".encode()


def parse(content: bytes) -> dict[str, str]:
    r"""Return the digest of each file, by name.

    Raises
    ------
    CorruptStoreError
        If `content` is not what `render` returned.

    Examples
    --------
    >>> parse(render({"odd\nname": "0"}))
    {'odd\nname': '0'}
    """
    digests = {}
    for line in content.decode(errors="replace").split("\n")[:-2]:
        digest, _, name = line.partition("  ")
        if digest.startswith("\\"):
            digest = digest[1:]
            name = _unescape(name)
        digests[name] = digest
    if render(digests) != content:
        raise CorruptStoreError("is not as it was written")
    return digests


def write(folder: Path) -> None:
    """Write the checksums of all files below `folder` into it."""
    digests = {}
    for file in folder.rglob("*"):
        if file.is_file() and file != folder / SUMS:
            with file.open("rb") as opened:
                digest = hashlib.file_digest(opened, "sha256")
            digests[file.relative_to(folder).as_posix()] = digest.hexdigest()
    (folder / SUMS).write_bytes(render(digests))


def file_digest(
    folder: Folder, name: str, size: int, *, advance: Callable[[int], None] = lambda nbytes: None
) -> str:
    """Return the SHA-256 of a file of known size, read in pieces; `advance` is told of each."""
    digest = hashlib.sha256()
    for start in range(0, size, _PIECE):
        piece = folder.read(name, start, _PIECE)
        digest.update(piece)
        advance(len(piece))
    return digest.hexdigest()


def _line(name: str, digest: str) -> str:
    escaped = "".join(_ESCAPES.get(character, character) for character in name)
    return f"{digest}  {name}\n" if escaped == name else f"\\{digest}  {escaped}\n"


def _unescape(name: str) -> str:
    plain = {escape: character for character, escape in _ESCAPES.items()}
    return re.sub(r"\\[\\nr]", lambda found: plain[found[0]], name)
