"""The language that a browser asks for, of those that the pages have, and how it joins texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation.trans_real import parse_accept_lang_header

from apps.core.marked_texts import CLAUSES, COLON, LIST, CodedText, MarkedText, shown

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
    return _joined(LIST, gettext("{one}, {other}"), texts)


def clauses_text(texts: Iterable[object]) -> str:
    """Return parts of a sentence in the page's language: `a; b`."""
    return _joined(CLAUSES, gettext("{one}; {other}"), texts)


def _joined(code: str, template: str, texts: Iterable[object]) -> str:
    parts = list(map(_part, texts))
    mark = template.format(one="", other="")
    return MarkedText(mark.join(str(shown(one)) for one in parts), code, {"parts": parts}) if parts else ""


def _part(text: object) -> Any:
    return text if isinstance(text, CodedText | Promise) else str(text)


def colon_text(one: object, other: object) -> str:
    """Return what something is or why, in the page's language: `a: b`."""
    parts = {"one": _part(one), "other": _part(other)}
    words = gettext("{one}: {other}").format(one=shown(parts["one"]), other=shown(parts["other"]))
    return MarkedText(words, COLON, parts)


def sentence_text(text: object) -> str:
    """Return a sentence with the full stop of the page's language: `a.`."""
    return gettext("{sentence}.").format(sentence=str(text).rstrip(".。"))
