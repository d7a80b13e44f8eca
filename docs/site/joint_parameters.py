"""Parameters that are described together, each with its own type and default.

In ``n_boot, seed`` the parser gives every name what the first one has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import griffe


class JointParameters(griffe.Extension):
    """Set types and defaults by the signature."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Go through a package that has just been loaded."""
        for described in _described(pkg):
            signature = {parameter.name: parameter for parameter in described.parameters}
            for section in described.docstring.parsed:
                if section.kind is griffe.DocstringSectionKind.parameters:
                    for parameter in section.value:
                        own = signature.get(parameter.name)
                        if own is not None:
                            parameter.annotation, parameter.value = own.annotation, own.default


def _described(parent: griffe.Module | griffe.Class) -> Iterator[Any]:
    for member in parent.members.values():
        if member.is_alias:
            continue
        if member.docstring and (member.is_function or member.is_class):
            yield member
        if member.is_module or member.is_class:
            yield from _described(member)
