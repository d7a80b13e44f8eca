"""Settings: tables of a study as arguments of a probe, checked, with the place of a mistake."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from featstore.errors import InvalidInputError
from featstore.probe_arguments import ProbeArguments
from featstore.suggest import did_you_mean


def checked_settings(
    table: object, place: str, *, but: Iterable[str] = (), more: Iterable[str] = ()
) -> dict[str, Any]:
    """Check a table of arguments of `featstore.probe`.

    Parameters
    ----------
    table
        As it was written.
    place
        Its key path, for messages.
    but, more
        Arguments that have no place here, and keys beside them, whose values are not looked at.

    Raises
    ------
    InvalidInputError
        With the key path, the value, and the nearest name there is.

    Examples
    --------
    >>> checked_settings({"seed": 1}, "settings")
    {'seed': 1}
    """
    if not isinstance(table, Mapping):
        raise InvalidInputError(f"{place} = {table!r}: a table of settings is expected")
    types_, allowed = _types(), set(more)
    allowed |= types_.keys() - set(but)
    for key, value in table.items():
        if key not in allowed:
            raise InvalidInputError(
                f"{place}.{key} = {value!r}: there is no such setting here. "
                f"{did_you_mean(str(key), allowed)}"
            )
        if key in types_:
            check_value(value, types_[key], f"{place}.{key}")
    return dict(table)


def check_value(value: object, wanted: Any, place: str) -> None:
    """Check a value against a type, a `Literal`, or a union of such.

    Raises
    ------
    InvalidInputError
        With the key path, the value and what may stand there.
    """
    members = list(_members(wanted))
    choices = [choice for member in members for choice in _choices(member)]
    kinds = [member for member in members if isinstance(member, type)]
    if value in choices or any(_is(value, kind) for kind in kinds):
        return
    if choices:
        nearest = did_you_mean(str(value), [str(choice) for choice in choices])
        raise InvalidInputError(f"{place} = {value!r}: no such choice. {nearest}")
    words = " or ".join(_WORDS[kind] for kind in kinds if kind in _WORDS)
    raise InvalidInputError(f"{place} = {value!r}: {words} is expected")


def check_name(name: object, known: Iterable[str], place: str, noun: str) -> None:
    """Check that a name is one of those known.

    Raises
    ------
    InvalidInputError
        With the key path, the value and the nearest name there is.
    """
    known = list(known)
    if name not in known:
        raise InvalidInputError(
            f"{place} = {name!r}: there is no such {noun}. {did_you_mean(str(name), known)}"
        )


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@cache
def _types() -> dict[str, Any]:
    # A study reports on the features it is given; `featstore corruptions` has grids of others.
    hints = get_type_hints(ProbeArguments)
    return {name: kind for name, kind in hints.items() if name != "test_features"}


def _members(wanted: Any) -> Iterable[Any]:
    if get_origin(wanted) in (Union, types.UnionType):
        for member in get_args(wanted):
            yield from _members(member)
    else:
        yield wanted


def _choices(member: Any) -> tuple[Any, ...]:
    return get_args(member) if get_origin(member) is Literal else ()


def _is(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
