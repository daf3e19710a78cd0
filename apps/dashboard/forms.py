"""Forms of the pages: what a service refuses stands next to its field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode

from apps.core.errors import DomainError
from apps.dashboard.layout import page_render
from apps.dashboard.number_fields import Amount, Factor, Integer
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.refusals import refusal_text
from apps.dashboard.text_fields import Text
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import ActorRules, Sender, SharedRules


KEYS: Final = frozenset({"id", "key"})
"""Fields that make a double click one act: each form that is shown has its own."""


class ShownField(forms.BoundField):
    """A field as templates write it."""

    @property
    def shown(self) -> Any:
        """Return what stands in it: as typed, else as it began."""
        value = self.value()
        return self.field.prepare_value(self.initial) if value is None else value

    @property
    def error(self) -> str:
        """Return why it was refused; empty if it was not."""
        return str(next(iter(self.errors), ""))


class PageForm(forms.Form):
    """A form of a page."""

    bound_field_class = ShownField
    blamed = ""
    """The field beside which refusals stand that name none of this form; empty: above the form."""
    refused_unsent = ""
    """Why a form that nobody has sent yet cannot be filled in now."""

    @classmethod
    def of(cls, request: HttpRequest, viewer: Principal | None = None, /, **initial: Any) -> Self:
        """Return the form as it was sent, or as it begins; `viewer`: for one with fields that are `Found`."""
        return cls(request.POST if request.method == "POST" else None, initial=initial).sent_by(viewer)

    @classmethod
    def from_address(cls, request: HttpRequest, viewer: Principal | None = None, /, **initial: Any) -> Self:
        """Return the form as it was sent, or with what `address_of` put into its address."""
        there = {name: request.GET[name] for name in {*cls.base_fields} - KEYS if name in request.GET}
        return cls.of(request, viewer, **(initial | there))

    def sent_by(self, viewer: Principal | None) -> Self:
        """Return the form whose fields find what is this viewer's."""
        for field in self.fields.values():
            if isinstance(field, Found) and viewer is not None:
                field.viewer = viewer
        return self

    def address_of(self, here: str) -> str:
        """Return the page's address with what was typed, for who goes back to it from a question."""
        typed = {name: text for name, text in self.typed.items() if text and name not in KEYS}
        return f"{here}?{urlencode(typed)}"

    @property
    def refusal(self) -> str:
        """Return what was refused of the form as a whole."""
        return str(next(iter(self.non_field_errors()), self.refused_unsent))

    @property
    def why(self) -> str:
        """Return why it was refused, for a page that says so in one place."""
        return self.refusal or str(next((one[0] for one in self.errors.values() if one), ""))

    @property
    def typed(self) -> dict[str, str]:
        """Return what stands in the fields."""
        return {field.name: str(field.shown) for field in self}  # type: ignore[attr-defined]  # bound_field_class

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Show a refusal of what is done inside next to the field that it blames."""
        try:
            yield
        except DomainError as refusal:
            if not self.is_bound:
                self.refused_unsent = refusal_text(refusal)
                return
            field = refusal.field.rstrip("_")
            self.add_error(field if field in self.fields else self.blamed or None, refusal_text(refusal))


class CodeForm(PageForm):
    """A code of an app, or a recovery code."""

    code = Text()

    def clean_code(self) -> str:
        """Read it as it may be typed, in groups."""
        return "".join(self.cleaned_data["code"].split())[:64]


class FeeRulesForm(PageForm):
    """Fee rules, of a sender, a method or the pool; where a field is empty, the rules below decide."""

    quota = Integer()
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
        """Return what it sets, but for the quota."""
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
