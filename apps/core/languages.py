"""The language that a browser asks for, of those that the pages have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation.trans_real import parse_accept_lang_header

if TYPE_CHECKING:
    from django.http import HttpRequest

TRADITIONAL: Final = ("zh-hant", "zh-tw", "zh-hk", "zh-mo")
"""Begin the tags of Chinese in traditional characters: taken last, as its readers know simplified ones."""


def browser_language(request: HttpRequest) -> str:
    """Return the first language that the browser asks for and the pages have; English if there is none."""
    header = request.headers.get("Accept-Language", "")
    tags = [tag for tag, quality in parse_accept_lang_header(header) if quality]
    for tag in (*(tag for tag in tags if not tag.startswith(TRADITIONAL)), *tags):
        base = tag.partition("-")[0]
        for code, _ in settings.LANGUAGES:
            if code.partition("-")[0] == base:
                return code
    return settings.LANGUAGE_CODE


def stored_text(text: str) -> str:
    """Return an English text of a row in the page's language, where it is one of the catalogue's."""
    return gettext(text) if text else ""
