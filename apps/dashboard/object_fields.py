"""Fields of the pages' forms that name what there is: an address of the chain, something of the viewer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ValidationError

from apps.core.errors import DomainError
from apps.core.filters import AddressField
from apps.dashboard.refusals import refusal_text
from apps.dashboard.text_fields import Text
from apps.users.rules.principals import Principal


class Address(AddressField, Text):
    """An address with either prefix, or in Ethereum's form, as rows have it."""


class Found(Text):
    """A tenant, a miner or a host that a selector finds for the viewer by what was typed."""

    viewer: Principal
    """Who sent the form, which sets it."""

    def __init__(self, find: Callable[[Principal, str], Any], *, is_optional: bool = False) -> None:
        """`is_optional`: an empty field is None."""
        super().__init__()
        self.find, self.is_optional = find, is_optional

    def clean(self, value: Any) -> Any:
        """Return what was found.  Raises ValidationError."""
        text = super().clean(value)
        try:
            return None if self.is_optional and not text else self.find(self.viewer, text)
        except DomainError as refusal:
            raise ValidationError(refusal_text(refusal)) from None
