"""Texts in the language of the moment that know what they are made of, so that a row keeps them in English.

`gettext` of here is Django's for what a service refuses or finds: a page shows it as it is, and what is
stored of it is a reason (`apps/core/reasons.py`), whoever acted.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any, Final, Self

from django.utils import translation

TEMPLATE: Final = "{}"
"""Names the template among the values of a marked text: no value has this name."""
TEMPLATED: Final = "core.told"
"""Code of a marked text with values."""
COUNT: Final = "core.count"
"""Code of a number of things."""
COLON: Final = "core.colon"
CLAUSES: Final = "core.clauses"
LIST: Final = "core.list"
"""Code of names in a list."""


class ValueFormatter(Formatter):
    """Formats as `str.format` does; clauses are joined, and values of older rows are texts already."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list):
            return "; ".join(map(str, value))
        return str(value) if isinstance(value, str) else str(format(value, format_spec))


FORMATTER: Final = ValueFormatter()


class CodedText(str):
    """A text with the code and values that make it in any language."""

    __slots__ = ("code", "values")

    code: str
    values: Mapping[str, Any]
    """Numbers, texts, further coded texts, or a list of these."""

    def __new__(cls, text: str, code: str, values: Mapping[str, Any]) -> Self:
        self = super().__new__(cls, text)
        self.code, self.values = code, values
        return self

    def __getnewargs__(self) -> tuple[str, str, Mapping[str, Any]]:  # type: ignore[override]  # str has one
        """Return what copies and pickles are made of."""
        return str(self), self.code, self.values

    def shown(self) -> str:
        """Return it in the language of the moment."""
        return str(self)


class MarkedText(CodedText):
    """A coded text that is in the language of the moment already."""

    __slots__ = ()

    def format(self, **values: Any) -> MarkedText:  # type: ignore[override]  # values are named
        words = {name: shown(value) for name, value in values.items()}
        return MarkedText(super().format(**words), self.code, {**self.values, **values})


def shown(value: Any) -> Any:
    """Return a value in the language of the moment."""
    return value.shown() if isinstance(value, CodedText) else value


def gettext(text: str) -> str:
    """Return a marked text in the language of the moment, as a `MarkedText`."""
    return MarkedText(translation.gettext(text), TEMPLATED, {TEMPLATE: text})
