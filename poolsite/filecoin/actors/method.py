"""What is known of an actor's method: its number, name, parameters and return value.

Low numbers are for messages and other actors; a number from 2^24 on is the FRC-42 hash of a name, under which
contracts may call the method too.  Many methods have both, with the same parameters.  A network upgrade may
change what a number takes: then it has several forms, one after the other.

Source: go-state-types builtin/{method_meta,frc_0042}.go; FRC-0042.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor, from_json, to_cbor, to_json
from poolsite.filecoin.kinds import BadField

T = TypeVar("T")
"""A class of parameters."""


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One method of an actor, in one form."""

    number: int
    """As in a message's Method field."""
    name: str
    """Go's name; `...Exported` for the FRC-42 twin of a numbered method."""
    params: type[Any] | None = None
    """Class of the parameters; None for a method without."""
    returns: type[Any] | None = None
    """Class of the return value; None for a method without."""
    since: int = 0
    """First network version with this form."""
    until: int | None = None
    """First network version without it; None while no upgrade is known that ends it."""
    earlier: tuple[MethodSpec, ...] = ()
    """Forms that the number had before this one, the newest first."""

    @property
    def forms(self) -> tuple[MethodSpec, ...]:
        """Return all forms, this one first."""
        return (self, *self.earlier)

    def at(self, version: int | None) -> MethodSpec:
        """Return the form at a network version, the newest for None; after its end its last form."""
        if version is None:
            return self
        return next((form for form in self.forms if form.since <= version), self.forms[-1])


def method_table(*specs: MethodSpec) -> dict[int, MethodSpec]:
    """Return the methods by number, each in its newest form with the earlier ones.

    Raises ValueError if one form of a number does not end where the next begins.
    """
    table: dict[int, MethodSpec] = {}
    for spec in sorted(specs, key=lambda spec: spec.since):
        before = table.get(int(spec.number))
        if before is not None and before.until != spec.since:
            raise ValueError(f"{spec.name}: a form until {before.until} and one since {spec.since}")
        table[int(spec.number)] = spec if before is None else replace(spec, earlier=before.forms)
    for spec in table.values():
        if spec.params is not None and spec.earlier:
            _EARLIER[spec.params] = tuple(form.params for form in spec.earlier if form.params is not None)
    return table


_EARLIER: Final[dict[type[Any], tuple[type[Any], ...]]] = {}
"""Classes of parameters and those that their methods took before; filled while modules are imported."""


def params_read(cls: type[T], data: bytes) -> T:
    """Return parameters of class `cls`, also out of bytes in an earlier form of their method.

    Raises BadCbor if they have none of the forms.
    """
    try:
        return from_cbor(cls, data)
    except BadCbor:
        for earlier in _EARLIER.get(cls, ()):
            try:
                return params_convert(from_cbor(earlier, data), cls)
            except (BadCbor, BadField):
                continue
        raise


def params_convert(value: Any, cls: type[T]) -> T:
    """Return parameters that say the same in another form of their method.

    Fields go over by their JSON names; one that only the newer form has is zero there where the older form
    means the same.  Raises BadField if the other form cannot say it.
    """
    other = from_json(cls, to_json(value))
    if from_json(type(value), to_json(other)) != value:
        raise BadField("params", f"{cls.__name__} cannot say what {type(value).__name__} does")
    return other


def params_at(spec: MethodSpec, params: bytes, *, version: int) -> bytes:
    """Return parameters in the form that a network version takes; unread ones as they are.

    Raises BadField if that form cannot say what they do.
    """
    form = spec.at(version).params
    if not spec.earlier or spec.params is None or form is None:
        return params
    try:
        value = params_read(spec.params, params)
    except BadCbor:
        return params
    return to_cbor(value if form is spec.params else params_convert(value, form))
