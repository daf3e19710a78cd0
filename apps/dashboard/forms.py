"""Forms of the pages: fields read what people type, and what a service refuses stands next to its field.

Amounts are typed in FIL, fees per gas in nanoFIL; an empty field is 0, "not set".
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.core.errors import DomainError
from apps.core.formatting import ATTO_PER_FIL, ATTO_PER_NANO
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from poolsite.filecoin.amounts import TOTAL_FILECOIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest, HttpResponse
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import ActorRules, Sender, SharedRules
    from apps.users.principals import Principal

DIGITS_MAX: Final = 40
WHOLE_MAX: Final = 1 << 31
FACTOR_MAX: Final = 1000
WORDS_MAX: Final = 100
SIZE_MAX: Final = 1 << 60
SIZE_NAMES: Final = {name.lower(): name for name in ("B", "KiB", "MiB", "GiB", "TiB", "PiB")}
SIZE_UNITS: Final = {name: 1 << (10 * power) for power, name in enumerate(SIZE_NAMES)}
SIZE_WRITTEN: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([KMGTP]iB|B)?", re.ASCII | re.IGNORECASE)
"""`500 GiB`; `500 GB` is not taken, since it is another amount to some."""


def new_key() -> str:
    """Make the key of a form: however often it is sent, it is done once."""
    return uuid4().hex


class Text(forms.CharField):
    """What was typed, without spaces around it; the services say what may be empty."""

    def __init__(self, *, initial: Any = "", strip: bool = True) -> None:
        super().__init__(required=False, initial=initial, strip=strip)


class Words(Text):
    """Several words, typed into one field or ticked one by one."""

    widget = forms.SelectMultiple

    def clean(self, value: Any) -> list[str]:
        """Return them, split at spaces and commas.  Raises ValidationError: none is left out unsaid."""
        typed = self.prepare_value(value).replace(",", " ").split()
        if len(typed) > WORDS_MAX:
            raise ValidationError(
                _("enter at most %(most)s values, not %(count)s"),
                params={"most": WORDS_MAX, "count": len(typed)},
            )
        return typed

    def prepare_value(self, value: Any) -> str:
        """Write them into one field."""
        return " ".join(value) if isinstance(value, list) else value or ""


class Lines(Text):
    """Several texts, at commas and line ends."""

    def __init__(self, between: str = "\n") -> None:
        super().__init__()
        self.between = between

    def clean(self, value: Any) -> tuple[str, ...]:
        """Return them."""
        typed = super().clean(value)
        return tuple(one for row in typed.splitlines() for part in row.split(",") if (one := part.strip()))

    def prepare_value(self, value: Any) -> str:
        """Write them into one field."""
        return value if isinstance(value, str) else self.between.join(value or ())


class Ticks(Text):
    """Several of what is offered."""

    widget = forms.SelectMultiple

    def clean(self, value: Any) -> tuple[str, ...]:
        """Return them."""
        return tuple(value or ())

    def prepare_value(self, value: Any) -> list[str]:
        """Return those that are ticked."""
        return list(value or ())


class Amount(Text):
    """FIL, or nanoFIL for a fee per gas, as attoFIL."""

    def __init__(self, *, is_fee: bool = False) -> None:
        super().__init__()
        self.factor, self.unit = (ATTO_PER_NANO, "nFIL") if is_fee else (ATTO_PER_FIL, "FIL")

    def clean(self, value: Any) -> int:
        """Read attoFIL.  Raises ValidationError."""
        text = super().clean(value)
        if not text:
            return 0
        wrong = ValidationError(_("enter an amount in %(unit)s, such as 0.5"), params={"unit": self.unit})
        plain = text.replace("\u202f", "").replace(" ", "")
        try:
            amount = Decimal(plain) * self.factor
            is_whole = amount == amount.to_integral_value()
        except InvalidOperation:
            raise wrong from None
        if (
            not plain.isascii()
            or len(plain) > DIGITS_MAX
            or not is_whole
            or not 0 <= amount <= TOTAL_FILECOIN
        ):
            raise wrong
        return int(amount)

    def prepare_value(self, value: Any) -> Any:
        """Write attoFIL so that reading it gives the same; 0 is an empty field."""
        if isinstance(value, str) or not value:
            return value or ""
        text = f"{Decimal(value) / self.factor:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


class Whole(Text):
    """A count."""

    def clean(self, value: Any) -> int:
        """Read it.  Raises ValidationError."""
        text = super().clean(value) or "0"
        if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) >= WHOLE_MAX:
            raise ValidationError(_("enter a whole number"))
        return int(text)

    def prepare_value(self, value: Any) -> Any:
        """Write it; 0 is an empty field."""
        return value or ""


class Size(Text):
    """An amount of bytes, such as 500 GiB."""

    def clean(self, value: Any) -> int:
        """Read bytes; an empty field is 0.  Raises ValidationError."""
        text = super().clean(value) or "0"
        found = SIZE_WRITTEN.fullmatch(text)
        if found is None:
            raise ValidationError(_("enter a size, such as 500 GiB"))
        count = int(Decimal(found[1]) * SIZE_UNITS[(found[2] or "B").lower()])
        if count > SIZE_MAX:
            raise ValidationError(_("enter a smaller size"))
        return count

    def prepare_value(self, value: Any) -> Any:
        """Write bytes in the largest unit that divides them; 0 is an empty field."""
        if isinstance(value, str) or not value:
            return value or ""
        unit = [name for name, size in SIZE_UNITS.items() if value % size == 0][-1]
        return f"{value // SIZE_UNITS[unit]} {SIZE_NAMES[unit]}"


class Factor(Text):
    """A factor such as 1.25."""

    def clean(self, value: Any) -> float:
        """Read it.  Raises ValidationError."""
        text = super().clean(value) or "0"
        try:
            factor = float(text) if text.isascii() and len(text) < 12 else -1.0
        except ValueError:
            factor = -1.0
        if not 0 <= factor <= FACTOR_MAX:
            raise ValidationError(_("enter a factor, such as 1.25"))
        return factor

    def prepare_value(self, value: Any) -> Any:
        """Write it; 0 is an empty field."""
        return value if isinstance(value, str) else f"{value:g}" if value else ""


class ShownField(forms.BoundField):
    """A field as templates write it."""

    @property
    def shown(self) -> Any:
        """What stands in it: as typed, else as it began."""
        value = self.value()
        return self.field.prepare_value(self.initial) if value is None else value

    @property
    def error(self) -> str:
        """Why it was refused; empty if it was not."""
        return str(next(iter(self.errors), ""))


class PageForm(forms.Form):
    """A form of a page."""

    bound_field_class = ShownField
    blamed = ""
    """The field beside which refusals stand that name none of this form; empty: above the form."""
    refused_unsent = ""
    """Why a form that nobody has sent yet cannot be filled in now."""

    @classmethod
    def of(cls, request: HttpRequest, **initial: Any) -> Self:
        """Return the form as it was sent, or as it begins."""
        return cls(request.POST if request.method == "POST" else None, initial=initial)

    @property
    def refusal(self) -> str:
        """What was refused of the form as a whole."""
        return str(next(iter(self.non_field_errors()), self.refused_unsent))

    @property
    def why(self) -> str:
        """Why it was refused, for a page that says so in one place."""
        return self.refusal or str(next((one[0] for one in self.errors.values() if one), ""))

    @property
    def typed(self) -> dict[str, str]:
        """What stands in the fields."""
        return {field.name: str(field.shown) for field in self}  # type: ignore[attr-defined]  # bound_field_class

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Show a refusal of what is done inside next to the field that it blames."""
        try:
            yield
        except DomainError as refusal:
            if not self.is_bound:
                self.refused_unsent = refusal.reason
                return
            field = refusal.field.rstrip("_")
            self.add_error(field if field in self.fields else self.blamed or None, refusal.reason)


class CodeForm(PageForm):
    """A code of an app, or a recovery code."""

    code = Text()

    def clean_code(self) -> str:
        """Read it as it may be typed, in groups."""
        return "".join(self.cleaned_data["code"].split())[:64]


class FeeRulesForm(PageForm):
    """Fee rules, of a sender, a method or the pool; where a field is empty, the rules below decide."""

    quota = Whole()
    max_fee = Amount()
    gas_fee_cap = Amount(is_fee=True)
    base_fee = Amount(is_fee=True)
    gas_over_estimation = Factor()
    gas_over_premium = Factor()

    @classmethod
    def of_row(cls, request: HttpRequest, row: Sender | SharedRules | ActorRules) -> Self:
        """Return the form of settings that are kept."""
        return cls.of(request, **{name: getattr(row, name, 0) for name in cls.base_fields})

    @property
    def fees(self) -> dict[str, Any]:
        """What it sets, but for the quota."""
        return {name: self.cleaned_data[name] for name in FeeRulesForm.base_fields if name != "quota"}


def form_render(
    request: HttpRequest,
    viewer: Principal,
    template: str,
    form: PageForm,
    *,
    title: StrOrPromise,
    section: str,
    page_key: str = "",
    data: PageData | None = None,
    **context: Any,
) -> HttpResponse:
    """Render a page with a form; one that was refused answers 422."""
    return page_render(
        request,
        template,
        title=title,
        section=section,
        page_key=page_key,
        data=data or PageData(viewer),
        status=422 if form.errors else 200,
        form=form,
        **context,
    )
