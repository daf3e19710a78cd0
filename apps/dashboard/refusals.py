"""Shows what was refused in the language of the page's reader."""

from __future__ import annotations

from apps.core.errors import DomainError
from apps.core.languages import colon_text
from apps.core.reasons import shown_text
from poolsite.wire.codec import BadWire


def refusal_text(refusal: DomainError | BadWire) -> str:
    """Return why something was refused, for a page that says it beside what was asked for."""
    return shown_text(refusal.reason)


def field_refusal_text(refusal: DomainError) -> str:
    """Return why something was refused, after the field that it blames."""
    text = refusal_text(refusal)
    return colon_text(refusal.field, text) if refusal.field else text
