"""Reads what services stored in English in the language of a page: a text with values by its template."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from string import Formatter
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.utils.text import Truncator
from django.utils.translation import get_language, gettext, pgettext

from apps.core.catalogue import TEMPLATES
from apps.core.formatting import plural, time_left
from apps.core.languages import clauses_text, colon_text, list_text
from apps.core.local_time import moment_text
from apps.core.reasons import (
    COUNT,
    FORMATTER,
    MARKED,
    MOMENT,
    REASONS,
    REFUSED,
    TEXT,
    TIME_LEFT,
    Reason,
    is_whole,
)
from apps.core.reasons import CUT as PART

TEXT_HOLES: Final = frozenset(
    {
        *("bad", "cause", "conditions", "detail", "error", "errors", "fault", "faults_reason", "label"),
        *("level", "meaning", "missing", "note", "outcome", "reason", "refusal", "remedy", "state", "states"),
        *("status", "text", "waits", "what", "where", "why", "word", "words"),
    }
)
"""Names of values that are texts, in a single word too; a value of another name is one if it has several
words.  The first of them in a template gets whatever could belong to several values."""
DEPTH_MAX: Final = 4
"""Texts within texts that are read."""
KEPT_MAX: Final = 4096
"""Texts whose translations a process keeps."""
WORD: Final = re.compile(r"\w+")
FIGURE: Final = re.compile(r"\d")
FIGURE_HOLES: Final = frozenset({"count", "done", "number"})
"""Names of values that begin with a digit."""
SURE_MIN: Final = 12
"""Characters of a template that no text has by chance: ` of ` is in many."""
CUT_LENGTHS: Final = frozenset({180, 200, 300, 500, 1_000, 2_000, 4_000})
"""Characters to which services cut texts for their columns."""
CUT: Final = "…"
"""Stands for what was cut off."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with named values."""

    literals: tuple[str, ...]
    """What stands before, between and after the values."""
    holes: tuple[str, ...]
    """The values' names, with their formats."""
    translation: tuple[tuple[str, str | None], ...]
    """Each literal of the translation with the value after it; None at its end."""

    @property
    def rank(self) -> tuple[int, bool, tuple[str, ...]]:
        """Return what orders the templates that a text may fit: the likeliest is least."""
        return -self.weight, FIGURE_HOLES.isdisjoint(self.holes), self.literals

    @property
    def weight(self) -> int:
        """Return how many characters are not the values'."""
        return sum(map(len, self.literals))

    @property
    def words(self) -> set[str]:
        """Return the words that each text of this template has, whatever its values."""
        return {word for word in WORD.findall("0".join(self.literals)) if FIGURE.search(word) is None}

    @property
    def widest(self) -> int:
        """Return which value gets what could belong to several: the first that is a text, else the last."""
        texts = (place for place, name in enumerate(self.holes) if name in TEXT_HOLES)
        return next(texts, len(self.holes) - 1)

    def values_of(self, text: str) -> dict[str, str] | None:
        """Return the values with which this template is the text; None if it is another's.

        Without backtracking, since others' programs write parts of texts: what stands before the widest value
        is as short as it can be, and so is what follows it.
        """
        first, *middle, last = self.literals
        if not text.startswith(first) or not text.endswith(last):
            return None
        start, end, widest = len(first), len(text) - len(last), self.widest
        before, after = [], []
        for literal in middle[:widest]:
            found = text.find(literal, start, end)
            if found < 0:
                return None
            before.append(text[start:found])
            start = found + len(literal)
        for literal in reversed(middle[widest:]):
            found = text.rfind(literal, start, end)
            if found < 0:
                return None
            after.append(text[found + len(literal) : end])
            end = found
        if start > end:
            return None
        return self._named([*before, text[start:end], *reversed(after)])

    def values_of_cut(self, text: str) -> dict[str, str] | None:
        """Return the values with which this template begins as the text does, up to where that was cut.

        None if it does not, or if the text has so little of it that it may be another's.
        """
        first, *others = self.literals
        if not text.startswith(first):
            return None
        rest, weight, values = text[len(first) :], len(first), []
        for literal in others:
            value, found, after = rest.partition(literal) if literal else (rest, "", "")
            if not found:
                shared = next(
                    (size for size in range(len(literal), 0, -1) if rest.endswith(literal[:size])), 0
                )
                values.append(rest[: len(rest) - shared] + ("" if shared else CUT))
                weight += shared
                break
            values.append(value)
            rest, weight = after, weight + len(literal)
        values += [CUT] * (len(self.holes) - len(values))
        named = dict(reversed(list(zip(self.holes, values, strict=True))))  # the first of a name is whole
        return named if weight >= SURE_MIN else None

    def _named(self, values: Sequence[str]) -> dict[str, str] | None:
        """Return values by their names; None if one name had two."""
        named = dict(zip(self.holes, values, strict=True))
        return named if [named[name] for name in self.holes] == list(values) else None

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the translation with these values."""
        return "".join(
            literal if name is None else literal + values[name] for literal, name in self.translation
        )


def pieces_of(text: str) -> list[tuple[str, str | None]]:
    """Return the literals of a template, each with the value after it as it is written, or None."""
    return [
        (
            literal,
            name
            if name is None
            else name + ((conversion and f"!{conversion}") or "") + ((form and f":{form}") or ""),
        )
        for literal, name, form, conversion in Formatter().parse(text)
    ]


def template_of(text: str, translation: str) -> Template:
    """Return a template; its text has values."""
    pieces = pieces_of(text)
    last = [] if pieces[-1][1] is None else [""]
    return Template(
        literals=(*(literal for literal, _ in pieces), *last),
        holes=tuple(name for _, name in pieces if name is not None),
        translation=tuple(pieces_of(translation)),
    )


class Reading(NamedTuple):
    """A text by a template."""

    text: str
    is_sure: bool
    """More than half of its characters are the template's."""


@cache
def pairs() -> tuple[tuple[str, str], ...]:
    """Return what services store or stored, with its translation."""
    return tuple((text, translation) for text, translation in json.loads(TEMPLATES.read_text()))


@cache
def templates() -> dict[str, tuple[Template, ...]]:
    """Return the templates that services store, by the word of each that the fewest others have."""
    found = [one for pair in pairs() if (one := template_of(*pair)).holes]
    common = Counter(word for one in found for word in one.words)
    by_word: defaultdict[str, list[Template]] = defaultdict(list)
    for one in found:
        if one.words:  # `{host}: {error}` is read by its separators
            by_word[min(one.words, key=lambda word: (common[word], word))].append(one)
    return {word: tuple(some) for word, some in by_word.items()}


@cache
def older_texts() -> dict[str, str]:
    """Return texts without values that rows have and no file has any more, with their translations."""
    return {text: translation for text, translation in pairs() if not template_of(text, translation).holes}


@cache
def beginnings() -> tuple[Template, ...]:
    """Return the templates that end with words of their own, the likeliest first: a text may lack these."""
    found = {one for some in templates().values() for one in some if one.literals[-1] or len(one.holes) > 1}
    return tuple(sorted(found, key=lambda one: one.rank))


def stored_text(text: str) -> str:
    """Return an English text of a row in the page's language: a reason by its code, others by words."""
    if not text or get_language() in (None, settings.LANGUAGE_CODE):
        return text
    return _reason_text(text) if isinstance(text, Reason) else _translated(text)


def _reason_text(reason: Reason) -> str:
    """Return a reason in the page's language; what others said, and older texts, are as they were."""
    if is_whole(reason.code):
        is_ours = reason.code.startswith((REFUSED, TEXT.code))
        return _translated(str(reason)) if is_ours else str(reason)
    if reason.code == MARKED.code:
        context = reason.values.get("context")
        text = reason.values["text"]
        return pgettext(context, text) if context else gettext(text)
    if reason.code == COUNT.code:
        return plural(**reason.values)
    if reason.code == TIME_LEFT.code:
        return time_left(**reason.values)
    if reason.code == MOMENT.code:
        return moment_text(datetime.fromisoformat(reason.values["at"]))
    if reason.code == PART.code:
        return Truncator(_shown(reason.values["text"])).chars(reason.values["most"])
    values = {name: _shown(value) for name, value in reason.values.items()}
    return FORMATTER.vformat(REASONS[reason.code].translated(reason.values), (), values)


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return clauses_text(map(_shown, value))
    return _reason_text(value) if isinstance(value, Reason) else value


@lru_cache(maxsize=KEPT_MAX)
def _translated(text: str) -> str:
    """Return a text in the one language that the pages have besides English."""
    return _read(text, DEPTH_MAX, is_cut=len(text) in CUT_LENGTHS) or text


def _read(text: str, depth: int, *, is_cut: bool = False) -> str | None:
    """Return the translation of a text, or of what is known of it; None if that is nothing."""
    if (exact := gettext(text)) != text:
        return exact
    if (older := older_texts().get(text)) is not None:
        return older
    if not depth:
        return None
    template = _by_template(text, depth, is_cut=is_cut)
    if template is not None and template.is_sure:
        return template.text
    clauses = _parts(text.split("; "), depth, is_cut=is_cut)
    if clauses is not None and all(read for _, read in clauses):
        return clauses_text(_known(clauses))
    if template is not None:
        return template.text
    if clauses is not None:
        return clauses_text(_known(clauses))
    if (parts := _parts(text.split(": ", 1), depth, is_cut=is_cut)) is not None:
        return colon_text(*_known(parts))
    items = _parts(text.split(", "), depth, is_cut=is_cut)
    return list_text(_known(items)) if items is not None and all(read for _, read in items) else None


def _by_template(text: str, depth: int, *, is_cut: bool) -> Reading | None:
    """Return the translation by the likeliest template that the text fits; None if it fits none."""
    by_word = templates()
    found = {one for word in set(WORD.findall(text)) for one in by_word.get(word, ())}
    for one in sorted(found, key=lambda one: one.rank):
        values = one.values_of(text)
        shown = None if values is None else _values(one, values, depth, is_cut=is_cut)
        if shown is not None:
            return Reading(one.filled(shown), is_sure=2 * one.weight > len(text))
    for one in beginnings() if is_cut else ():
        values = one.values_of_cut(text)
        shown = None if values is None else _values(one, values, depth)
        if shown is not None:
            return Reading(one.filled(shown), is_sure=False)
    return None


def _values(
    template: Template, values: Mapping[str, str], depth: int, *, is_cut: bool = False
) -> dict[str, str] | None:
    """Return a text's values as the page shows them; None if they are no values that the template takes.

    A count begins with a digit, and a name is no clauses; where the template has few characters, a value of
    several words is a text that the catalogue has, or a figure with its unit.
    """
    shown = {}
    for name, value in values.items():
        is_text, is_figure = name in TEXT_HOLES, value[:1].isdigit()
        is_last = is_cut and name == template.holes[-1] and not template.literals[-1]
        whole = value.removesuffix(CUT)
        read = (
            _read(whole, depth - 1, is_cut=is_last or whole != value)
            if whole and (is_text or " " in whole)
            else None
        )
        if not is_text and (
            "; " in value
            or not (is_figure or name not in FIGURE_HOLES)
            or not (is_figure or read or " " not in value or template.weight >= SURE_MIN)
        ):
            return None
        shown[name] = read or value
    return shown


def _parts(texts: Sequence[str], depth: int, *, is_cut: bool) -> list[tuple[str, str | None]] | None:
    """Return the parts of a text, each with its translation; None if it is whole or no part has one.

    Of a text that `is_cut` the last part is.
    """
    if len(texts) == 1:
        return None
    *others, last = texts
    parts = [(text, _read(text, depth - 1) if text else None) for text in others]
    parts.append((last, _read(last, depth - 1, is_cut=is_cut) if last else None))
    return parts if any(read for _, read in parts) else None


def _known(parts: Sequence[tuple[str, str | None]]) -> list[str]:
    """Return the parts of a text as the page shows them, those without a translation as they are."""
    return [read or text for text, read in parts]
