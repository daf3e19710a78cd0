"""Filters of a list, declared once beside its noun: pages, exports, REST and its command read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from django_filters import Filter, FilterSet

from apps.core import clock
from apps.core.addresses import address_fault, address_typed
from apps.core.day_ranges import month_read
from apps.core.errors import BadValue
from apps.core.local_time import day_begin
from apps.core.marked_texts import gettext
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

NAME_MAX: Final = 100
"""Most characters of a name that a refusal repeats."""
TEXT_MAX: Final = 100
"""Most characters of a text that is searched for."""
NUMBER_MAX: Final = 2**63 - 1
"""The largest number that a column holds."""
NO_SUCH_WORD: Final = _("must be one of {values}")
FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


class FlagField(forms.Field):
    """True or false; empty is neither."""

    def to_python(self, value: Any) -> bool | None:
        """Return True, False, or None where nothing is said.  Raises ValidationError."""
        text = str(value or "").strip().lower()
        if text and text not in FLAGS:
            raise ValidationError(_("must be true or false"))
        return FLAGS.get(text)


class WholeField(forms.Field):
    """A whole number that is not negative; one larger than any column holds is the largest."""

    def to_python(self, value: Any) -> int | None:
        """Return the number, or None where nothing is said.  Raises ValidationError."""
        text = str(value if value is not None else "").strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > len(str(NUMBER_MAX)):
            raise ValidationError(_("must be a whole number of at least {least}").format(least=0))
        return min(int(text), NUMBER_MAX)


class ChoicesField(forms.MultipleChoiceField):
    """Some of a few words."""

    def __init__(self, *, words: Sequence[str], refusal: StrOrPromise, **options: Any) -> None:
        super().__init__(choices=[(word, word) for word in words], **options)
        self.words, self.refusal = words, refusal

    def validate(self, value: list[str]) -> None:
        """Raise ValidationError for a word that is none of them."""
        if not set(value) <= set(self.words):
            raise ValidationError(str(self.refusal).format(values=", ".join(self.words)))

    def to_python(self, value: Any) -> list[str]:
        """Return the words that were given; an empty one is none."""
        return [word for word in super().to_python(value) if word]


class SeveralField(forms.MultipleChoiceField):
    """Any words, each once."""

    def validate(self, value: list[str]) -> None:
        """Return nothing: every word is taken."""

    def to_python(self, value: Any) -> list[str]:
        """Return the words that were given; an empty one is none."""
        return [word for word in dict.fromkeys(super().to_python(value)) if word]


class MomentField(forms.Field):
    """A time in which something can have been written; without an offset it is of the person's zone."""

    def __init__(self, *, has_offset: bool = False, **options: Any) -> None:
        """`has_offset`: one without an offset is refused."""
        super().__init__(**options)
        self.has_offset = has_offset

    def to_python(self, value: Any) -> datetime | None:
        """Return the time, or None where nothing is said.  Raises ValidationError."""
        if not (text := str(value or "").strip()):
            return None
        try:
            moment = parse_datetime(text)
        except ValueError:
            moment = None
        if moment is None or not clock.YEARS[0] <= moment.year <= clock.YEARS[1]:
            raise ValidationError(_("not a valid time"))
        if moment.tzinfo is None and self.has_offset:
            raise ValidationError(_("the time has no time zone"))
        return timezone.make_aware(moment) if moment.tzinfo is None else moment


class DayField(forms.Field):
    """A day on which something can have been written."""

    def to_python(self, value: Any) -> date | None:
        """Return the day, or None where nothing is said.  Raises ValidationError."""
        if not (text := str(value or "").strip()):
            return None
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = None
        if day is None or not clock.YEARS[0] <= day.year <= clock.YEARS[1]:
            raise ValidationError(_("must be a day such as {day}").format(day="2026-03-31"))
        return day


class MonthField(forms.Field):
    """A month, as its first day."""

    def to_python(self, value: Any) -> date | None:
        """Return the day, or None where nothing is said.  Raises ValidationError."""
        text = str(value or "").strip()
        try:
            return month_read(text) if text else None
        except BadValue as bad:
            raise ValidationError(bad.reason) from None


class AddressField(forms.CharField):
    """An address with either prefix, or in Ethereum's form."""

    def to_python(self, value: Any) -> str:
        """Return the address as canonical text, or nothing where none is said.  Raises ValidationError."""
        text = super().to_python(value)
        try:
            return address_typed(text) if text else ""
        except BadAddress as error:
            raise ValidationError(address_fault(error)) from None


class ListFilter(Filter):  # type: ignore[misc]  # the package has no types
    """One filter of a list: its name in addresses is the attribute's."""

    kind = "string"
    """Type of its value in the document of REST."""
    is_repeatable = False

    def __init__(self, *, label: StrOrPromise = "", about: str = "", **options: Any) -> None:
        """`label`: what a page's field is called, if it has one; `about`: what REST's document says."""
        super().__init__(label=label, **options)
        self.about = about

    @property
    def words(self) -> tuple[str, ...]:
        """Return the only values that it takes; empty if there are others."""
        return ()


class Words(ListFilter):
    """What was typed, without spaces around it."""

    field_class = forms.CharField


class Address(ListFilter):
    """An address, as rows have it."""

    field_class = AddressField


class Whole(ListFilter):
    """A whole number."""

    kind = "integer"
    field_class = WholeField


class Flag(ListFilter):
    """Yes or no."""

    kind = "boolean"
    field_class = FlagField


class Several(ListFilter):
    """Any of the words that were given."""

    is_repeatable = True
    field_class = SeveralField


class Moment(ListFilter):
    """A point in time."""

    kind = "moment"
    field_class = MomentField


class Day(ListFilter):
    """A day in the person's zone; over REST of UTC."""

    kind = "day"
    field_class = DayField


class Month(ListFilter):
    """A month such as `2026-11`, in UTC; its value is the first day."""

    field_class = MonthField


class Choices(ListFilter):
    """One or more of a few words."""

    is_repeatable = True
    field_class = ChoicesField

    def __init__(self, words: Iterable[str], *, refusal: StrOrPromise = NO_SUCH_WORD, **options: Any) -> None:
        """`refusal`: what is said of any other word."""
        self.offered = tuple(words)
        super().__init__(words=self.offered, refusal=refusal, **options)

    @property
    def words(self) -> tuple[str, ...]:
        """Return what is offered."""
        return self.offered


class ListFilters(FilterSet):  # type: ignore[misc]  # as above
    """The filters of one noun over the rows that a viewer may see."""

    base_filters: Mapping[str, ListFilter]

    def __init__(
        self,
        values: Mapping[str, Any],
        rows: QuerySet[Any],
        *,
        viewer: Any,
        page: Any = None,
        beside: Collection[str] = (),
    ) -> None:
        """`page`: what the page has read already, so that nothing is read twice; `beside`: other names."""
        self.viewer, self.page = viewer, page
        self.given = {name: texts for name, texts in _texts(values).items() if name not in beside}
        """Filters of the list, by name; the URL with them is the saved view."""
        data = QueryDict(mutable=True)
        for name, texts in self.given.items():
            data.setlist(name, texts)
        super().__init__(data, queryset=rows)

    @classmethod
    def get_filters(cls) -> Mapping[str, ListFilter]:
        """Return the filters by name; one that Python keeps for itself is declared with `_` behind it."""
        return {name.removesuffix("_"): one for name, one in super().get_filters().items()}

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return what a form has of these filters, by name."""
        return {name: texts for name, texts in _texts(values).items() if name in cls.base_filters}

    def __bool__(self) -> bool:
        """Return whether anything is narrowed."""
        return bool(self.given)

    def __getitem__(self, name: str) -> str:
        """Return what was given for a name, the first of several; empty for nothing."""
        return self.given.get(name, [""])[0]

    def pairs(self, *without: str) -> tuple[tuple[str, str], ...]:
        """Return name and value of what is narrowed, for the fields of a form."""
        return tuple(
            (name, text) for name, texts in self.given.items() if name not in without for text in texts
        )

    def rows(self) -> QuerySet[Any]:
        """Return the rows that fit.  Raises BadValue for a name that is no filter, or a wrong value."""
        self.check()
        rows: QuerySet[Any] = self.qs if self.given else self.queryset
        return rows

    def check(self) -> None:
        """Raise BadValue, with the field, for what cannot be read."""
        for name, texts in self.given.items():
            if name not in self.filters:
                raise BadValue(gettext("there is no such filter"), field=name[:NAME_MAX])
            if len(texts) > 1 and not self.filters[name].is_repeatable:
                raise BadValue(gettext("is given more than once"), field=name)
        if self.given and not self.form.is_valid():
            field, [reason, *_more] = next(iter(self.form.errors.items()))
            raise BadValue(str(reason), field=field)


class DayFilters(ListFilters):
    """The same of rows that have a time: from which day, until which."""

    time_field: ClassVar[str] = "created_at"
    since = Day(method="of_since", about="first day")
    until = Day(method="of_until", about="last day")

    def of_since(self, rows: QuerySet[Any], _name: str, value: date) -> QuerySet[Any]:
        """Narrow to what was written since a day began."""
        return rows.filter(**{f"{self.time_field}__gte": day_begin(value)})

    def of_until(self, rows: QuerySet[Any], _name: str, value: date) -> QuerySet[Any]:
        """Narrow to what was written before a day ended."""
        return rows.filter(**{f"{self.time_field}__lt": day_begin(value + timedelta(days=1))})


def _texts(values: Mapping[str, Any]) -> dict[str, list[str]]:
    pairs = values.lists() if isinstance(values, QueryDict) else values.items()
    listed = {name: value if isinstance(value, list | tuple) else [value] for name, value in pairs}
    found = {name: [str(one or "").strip() for one in texts] for name, texts in listed.items()}
    return {name: given for name, texts in found.items() if (given := [text for text in texts if text])}
