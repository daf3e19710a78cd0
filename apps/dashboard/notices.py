"""What the next page says of what was just done: once, and only in the browser that did it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django_stubs_ext import StrOrPromise

NOTICE: Final = "notice"


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence with its tone, as of a label."""

    tone: str
    text: str


def notice_leave(request: HttpRequest, text: StrOrPromise, *, tone: str = "ok") -> None:
    """Keep a sentence in the session for the page that a redirect leads to."""
    request.session[NOTICE] = [tone, str(text)]


def notice_pop(request: HttpRequest) -> Notice | None:
    """Return the sentence and forget it; None where nothing was left."""
    left = request.session.pop(NOTICE, None)
    return None if left is None else Notice(*left)
