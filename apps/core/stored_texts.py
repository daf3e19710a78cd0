"""Reads what services stored in English in the language of a page: a text with values by its template."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache, lru_cache
from string import Formatter
from typing import TYPE_CHECKING, Final, NamedTuple

from django.conf import settings
from django.utils.translation import get_language, gettext

from apps.core.catalogue import TEMPLATES
from apps.core.languages import clauses_text, colon_text, list_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
def templates() -> dict[str, tuple[Template, ...]]:
    """Return the templates that services store, by the word of each that the fewest others have."""
    found = [template_of(*pair) for pair in json.loads(TEMPLATES.read_text())]
    common = Counter(word for one in found for word in one.words)
    by_word: defaultdict[str, list[Template]] = defaultdict(list)
    for one in found:
        if one.words:  # `{host}: {error}` is read by its separators
            by_word[min(one.words, key=lambda word: (common[word], word))].append(one)
    return {word: tuple(some) for word, some in by_word.items()}


def stored_text(text: str) -> str:
    """Return an English text of a row in the page's language, as far as the catalogue has it."""
    if not text or get_language() in (None, settings.LANGUAGE_CODE):
        return text
    return _translated(text)


@lru_cache(maxsize=KEPT_MAX)
def _translated(text: str) -> str:
    """Return a text in the one language that the pages have besides English."""
    return _read(text, DEPTH_MAX) or text


def _read(text: str, depth: int) -> str | None:
    """Return the translation of a text, or of what is known of it; None if that is nothing."""
    if (exact := gettext(text)) != text:
        return exact
    if not depth:
        return None
    template = _by_template(text, depth)
    if template is not None and template.is_sure:
        return template.text
    clauses = _parts(text.split("; "), depth)
    if clauses is not None and all(read for _, read in clauses):
        return clauses_text(_known(clauses))
    if template is not None:
        return template.text
    if clauses is not None:
        return clauses_text(_known(clauses))
    if (parts := _parts(text.split(": ", 1), depth)) is not None:
        return colon_text(*_known(parts))
    items = _parts(text.split(", "), depth)
    return list_text(_known(items)) if items is not None and all(read for _, read in items) else None


def _by_template(text: str, depth: int) -> Reading | None:
    """Return the translation by the likeliest template that the text fits; None if it fits none."""
    by_word = templates()
    found = {one for word in set(WORD.findall(text)) for one in by_word.get(word, ())}
    for one in sorted(found, key=lambda one: one.rank):
        values = one.values_of(text)
        shown = None if values is None else _values(one, values, depth)
        if shown is not None:
            return Reading(one.filled(shown), is_sure=2 * one.weight > len(text))
    return None


def _values(template: Template, values: Mapping[str, str], depth: int) -> dict[str, str] | None:
    """Return a text's values as the page shows them; None if they are no values that the template takes.

    A count begins with a digit, and a name is no clauses; where the template has few characters, a value of
    several words is a text that the catalogue has, or a figure with its unit.
    """
    shown = {}
    for name, value in values.items():
        is_text, is_figure = name in TEXT_HOLES, value[:1].isdigit()
        read = _read(value, depth - 1) if value and (is_text or " " in value) else None
        if not is_text and (
            "; " in value
            or not (is_figure or name not in FIGURE_HOLES)
            or not (is_figure or read or " " not in value or template.weight >= SURE_MIN)
        ):
            return None
        shown[name] = read or value
    return shown


def _parts(texts: Sequence[str], depth: int) -> list[tuple[str, str | None]] | None:
    """Return the parts of a text, each with its translation; None if it is whole or no part has one."""
    if len(texts) == 1:
        return None
    parts = [(text, _read(text, depth - 1) if text else None) for text in texts]
    return parts if any(read for _, read in parts) else None


def _known(parts: Sequence[tuple[str, str | None]]) -> list[str]:
    """Return the parts of a text as the page shows them, those without a translation as they are."""
    return [read or text for text, read in parts]
