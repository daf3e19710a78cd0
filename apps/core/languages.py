"""The language that a browser asks for, of those that the pages have, and how it joins texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation.trans_real import parse_accept_lang_header

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


def list_text(texts: Iterable[object]) -> str:
    """Return texts in a list in the page's language: `a, b`."""
    return gettext("{one}, {other}").format(one="", other="").join(map(str, texts))


def clauses_text(texts: Iterable[object]) -> str:
    """Return parts of a sentence in the page's language: `a; b`."""
    return gettext("{one}; {other}").format(one="", other="").join(map(str, texts))


def colon_text(one: object, other: object) -> str:
    """Return what something is or why, in the page's language: `a: b`."""
    return gettext("{one}: {other}").format(one=one, other=other)


def sentence_text(text: object) -> str:
    """Return a sentence with the full stop of the page's language: `a.`."""
    return gettext("{sentence}.").format(sentence=str(text).rstrip(".。"))
