"""Fields of the pages' forms that read words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from apps.core.sanitize import has_marks

TEXTS_MAX: Final = 100
KEY_MAX: Final = 64


def new_key() -> str:
    """Make the key of a form: however often it is sent, it is done once."""
    return uuid4().hex


class Text(forms.CharField):
    """What was typed, without spaces around it; the services say what may be empty."""

    def __init__(
        self,
        *,
        initial: Any = "",
        strip: bool = True,
        is_secret: bool = False,
        required: bool = False,
        longest: int | None = None,
    ) -> None:
        """`is_secret`: nobody reads it, a password: it may have any characters."""
        super().__init__(required=required, initial=initial, strip=strip, max_length=longest)
        self.error_messages["required"] = _("must not be empty")
        self.error_messages["max_length"] = format_lazy(_("at most {most} characters"), most=longest)
        self.is_secret = is_secret

    def to_python(self, value: Any) -> str:
        """Return the text.  Raises ValidationError if it would be shown otherwise than it is written."""
        text = super().to_python(value) or ""
        if not self.is_secret and has_marks(text):
            raise ValidationError(
                _("must not contain invisible characters, or marks that change the direction of text")
            )
        return text


TICKED: Final = frozenset({"1", "on", "yes", str(True)})
"""What browsers send for a box that is ticked, and a question's hidden fields after it was read."""


class Tick(Text):
    """A box that is ticked or not."""

    def bound_data(self, data: Any, initial: Any) -> str:  # noqa: ARG002  # Django's form
        """Return what was sent; a box without a tick is not, whatever it began with."""
        return data or ""

    def clean(self, value: Any) -> bool:
        """Return whether it was ticked."""
        return value in TICKED


class Choice(forms.TypedChoiceField):
    """One of what is offered, as `coerce` reads it; that it is empty is allowed where that is offered."""

    def __init__(
        self,
        choices: Iterable[tuple[Any, Any] | str],
        *,
        initial: Any = "",
        coerce: Callable[[Any], Any] = str,
        empty: Any = "",
    ) -> None:
        """`empty`: what the empty choice is read as."""
        options = [(one, one) if isinstance(one, str) else one for one in choices]
        has_none = any(value == "" for value, _label in options)
        super().__init__(
            choices=options, coerce=coerce, initial=initial, required=not has_none, empty_value=empty
        )
        for name in ("required", "invalid_choice"):
            self.error_messages[name] = _("choose one of the options")


class Key(Text):
    """The key of a form; what cannot be one is replaced."""

    def __init__(self) -> None:
        super().__init__(initial=new_key)

    def clean(self, value: Any) -> str:
        """Return it."""
        typed = str(super().clean(value))
        return typed[:KEY_MAX] if typed.isalnum() else new_key()


class TextList(Text):
    """Several words, typed into one field or ticked one by one."""

    widget = forms.SelectMultiple

    def clean(self, value: Any) -> list[str]:
        """Return them, split at spaces and commas.  Raises ValidationError: none is left out unsaid."""
        typed = self.prepare_value(value).replace(",", " ").split()
        if len(typed) > TEXTS_MAX:
            raise ValidationError(
                _("enter at most %(most)s values, not %(count)s"),
                params={"most": TEXTS_MAX, "count": len(typed)},
            )
        return typed

    def prepare_value(self, value: Any) -> str:
        """Write them into one field."""
        return " ".join(value) if isinstance(value, list) else value or ""

    def ticked(self, shown: Any) -> list[str]:
        """Return those that are ticked."""
        return self.prepare_value(shown).replace(",", " ").split()


class Lines(Text):
    """Several texts, at commas and line ends."""

    def __init__(self, separator: str = "\n") -> None:
        super().__init__()
        self.separator = separator

    def clean(self, value: Any) -> tuple[str, ...]:
        """Return the names."""
        typed = super().clean(value)
        return tuple(one for row in typed.splitlines() for part in row.split(",") if (one := part.strip()))

    def prepare_value(self, value: Any) -> str:
        """Write them into one field."""
        return value if isinstance(value, str) else self.separator.join(value or ())


class Names(Lines):
    """Several names, which may have spaces: ticked one by one, or typed with commas."""

    widget = forms.SelectMultiple

    def __init__(self) -> None:
        super().__init__(separator=", ")

    def clean(self, value: Any) -> tuple[str, ...]:
        """Return the names."""
        return super().clean(self.prepare_value(value))

    def ticked(self, shown: Any) -> list[str]:
        """Return those that are ticked."""
        return [one for part in self.prepare_value(shown).split(",") if (one := part.strip())]


class MultiChoice(Text):
    """Several of what is offered."""

    widget = forms.SelectMultiple

    def clean(self, value: Any) -> tuple[str, ...]:
        """Return the names."""
        return tuple(value or ())

    def prepare_value(self, value: Any) -> list[str]:
        """Return those that are ticked."""
        return list(value or ())
