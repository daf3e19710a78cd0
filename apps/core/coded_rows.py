"""Gives rows of before there were codes theirs, by the texts of that time: for migrations, beside writers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from string import Formatter
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from apps.core.catalogue import CATALOGUE
from apps.core.catalogue_files import catalogue_read
from apps.core.clock import DAY_S, HOUR_S, MINUTE_S
from apps.core.formatting import NARROW
from apps.core.marked_texts import TEMPLATE, TEMPLATED
from apps.core.reason_fields import CODED
from apps.core.reasons import (
    CLAUSES,
    OLD,
    REASONS,
    REFUSED,
    TEXT,
    Reason,
    as_reason,
    coded,
    coded_sum,
    counted,
    dumped,
    is_whole,
    lasting,
)

STEP: Final = 500
"""Rows of one statement."""
PLAIN_MIN: Final = 8
"""Characters of a template whose values are names, or reasons themselves: `paused by ann`, `a, b offline`."""

COUNTED: Final = re.compile(rf"(\d[\d{NARROW}]*) ([a-z][a-z ]*)")
LASTED: Final = re.compile(r"(?:(\d+) d ?)?(?:(\d+) h ?)?(?:(\d+)(?: min)? ?)?(?:(\d+) s)?")
PAGES: Final = re.compile(r"apps/dashboard/|templates/|apps/\w+/management/")
"""Folders whose texts nobody stores."""
TEXT_HOLES: Final = frozenset(
    {
        *("bad", "cause", "conditions", "detail", "error", "errors", "fault", "faults_reason", "label"),
        *("level", "meaning", "missing", "note", "outcome", "reason", "refusal", "remedy", "state", "states"),
        *("status", "text", "waits", "what", "where", "why", "word", "words"),
    }
)
"""Names of values that are texts, in a single word too; a value of another name is one if it has several
words.  The first of them in a template gets whatever could belong to several values."""
FIGURE_HOLES: Final = frozenset({"count", "done", "number"})
"""Names of values that begin with a digit."""
SURE_MIN: Final = 12
"""Characters of a template that no text has by chance: ` of ` is in many."""
CUT: Final = "…"
"""Stands for what was cut off."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with named values."""

    literals: tuple[str, ...]
    """Parts of it before, between and after the values."""
    holes: tuple[str, ...]
    """The values' names."""

    @property
    def rank(self) -> tuple[int, bool, tuple[str, ...]]:
        """Return what orders the templates that a text may fit: the likeliest is least."""
        return -self.weight, FIGURE_HOLES.isdisjoint(self.holes), self.literals

    @property
    def weight(self) -> int:
        """Return how many characters are not the values'."""
        return sum(map(len, self.literals))

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


def template_of(text: str) -> Template:
    """Return a template of its text."""
    pieces = list(Formatter().parse(text)) or [("", None, None, None)]
    last = [] if pieces[-1][1] is None else [""]
    return Template(
        literals=(*(literal for literal, *_ in pieces), *last),
        holes=tuple(name for _, name, *_ in pieces if name is not None),
    )


Texts = list[tuple[str, Template]]
"""Templates with their codes; of a marked text that has no code of its own the text itself, in braces."""


@cache
def catalogue_texts() -> Texts:
    """Return what this version marks and rows may have."""
    texts = (
        text
        for message in catalogue_read(CATALOGUE)
        if message.id and any(PAGES.match(place) is None for place, _ in message.locations)
        for text in ((message.id,) if isinstance(message.id, str) else message.id)
    )
    codes = {text: kind.code for kind in reversed(REASONS.values()) for text in (kind.template, kind.many)}
    made = [
        (codes.get(text, TEMPLATE + text), template_of(text))
        for text in texts
        if not text.startswith("{count} ")
    ]
    return likeliest_first((code, one) for code, one in made if one.weight >= PLAIN_MIN)


def likeliest_first(texts: Iterable[tuple[str, Template]]) -> Texts:
    return sorted(texts, key=lambda pair: pair[1].rank)


def rows_code(
    model: Any,
    field: str,
    texts: Mapping[str, str | Sequence[str]],
    *,
    has_typed: bool = False,
    of: Mapping[str, Any] | None = None,
) -> None:
    """Write the codes of one column's rows, in steps; a text that nobody here has written is marked as old.

    `texts`: of each code, how it read.  `has_typed`: people write into this column too, and what is of no
    code stays as it is.  `of`: which of the rows, where not all are meant.
    May be killed and run again; what is written meanwhile stays.
    """
    known = likeliest_first(
        (code, template_of(text))
        for code, some in texts.items()
        for text in ([some] if isinstance(some, str) else some)
    )
    rows = model._base_manager.filter(**{f"{field}{CODED}__isnull": True}, **(of or {})).exclude(
        **{field: ""}
    )
    cut = model._meta.get_field(field).max_length
    # One pass: of millions of rows few have a text, and each query for the next 500 might look through all.
    found = rows.order_by().values_list("pk", field).iterator(chunk_size=STEP)
    while step := list(islice(found, STEP)):
        by_text: dict[str, list[Any]] = {}
        for pk, text in step:
            by_text.setdefault(text, []).append(pk)
        reasons = {text: _reason_of(text, known, is_cut=len(text) == cut) for text in by_text}
        with transaction.atomic():
            _lock(rows.filter(pk__in=[pk for pk, _ in step]))
            for text, made in reasons.items():
                if made is None and has_typed:
                    continue
                same = rows.filter(pk__in=by_text[text], **{field: text})
                same.update(**{field + CODED: coded(made or _uncoded(text), column_text=text)})


def _lock(rows: Any) -> None:
    """Lock rows in the order in which their writers do, who would wait for each other otherwise."""
    list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))


def _reason_of(text: str, known: Texts, *, is_cut: bool = False) -> Reason | None:
    """Return a text as the reason that it was made of; None if it is of none."""
    for code, one in known:
        values = one.values_of_cut(text) if is_cut else one.values_of(text) if one.holes else None
        if one.literals == (text,) or (values is not None and _is_likely(one, values, known)):
            made = {
                name.partition(":")[0]: _value(name, each, known) for name, each in (values or {}).items()
            }
            if code.startswith(TEMPLATE):
                return Reason(text, TEMPLATED, {TEMPLATE: code.removeprefix(TEMPLATE), **made})
            return Reason(text, code, {"text": text} if is_whole(code) else made)
    parts = [_reason_of(part, known) for part in text.split("; ")] if "; " in text else [None]
    return Reason(text, CLAUSES.code, {"parts": parts}) if all(parts) else None


def _is_likely(template: Template, values: Mapping[str, str], known: Texts) -> bool:
    """Return whether values are such as the template takes: ` of ` is in many texts, clauses are no name."""
    names = {name: value for name, value in values.items() if name.partition(":")[0] not in TEXT_HOLES}
    figures = {name for name, value in names.items() if value[:1].isdigit()}
    others = [value for name, value in names.items() if name not in figures]
    if FIGURE_HOLES & (names.keys() - figures) or any("; " in value for value in names.values()):
        return False
    if template.weight >= SURE_MIN or not names:
        return True
    is_plain = all(" " not in value.replace(", ", "") or _reason_of(value, known) for value in others)
    return is_plain and (bool(figures) or template.weight >= PLAIN_MIN)


def _value(name: str, text: str, known: Texts) -> str:
    is_text = name.partition(":")[0] in TEXT_HOLES or " " in text
    return (_figure_of(text) or _reason_of(text, known) or as_reason(text)) if is_text else text


def _figure_of(text: str) -> str:
    """Return `3 sectors` or `2 h 05` as the reason that it is within another; empty if it is none."""
    if (found := COUNTED.fullmatch(text)) is not None:
        count, noun = int(found[1].replace(NARROW, "")), found[2]
        has_own_plural = noun.endswith(("ss", "sses"))  # addresses: a text of its own
        if not has_own_plural and (count == 1 or noun.endswith("s")):
            return counted(count, noun if count == 1 else noun.removesuffix("s"))
    if (found := LASTED.fullmatch(text)) is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        made = lasting(days * DAY_S + hours * HOUR_S + minutes * MINUTE_S + seconds)
        return made if made == text else ""
    return ""


def _uncoded(text: str) -> Reason:
    """Return a text that is of no code: a marked one, or an old one."""
    return _reason_of(text, catalogue_texts()) or Reason(text, OLD.code, {"text": text})


def rows_recode(model: Any, field: str) -> None:
    """Write codes and values of a column's texts that were read by templates.

    These are refusals, texts within reasons, and what stands without a code.  In steps, as `rows_code`; what
    matches none stays as it is, as does a code whose text an older version has written over: that is English.
    """
    name = field + CODED
    rows = model._base_manager.exclude(**{field: ""})
    found = (
        rows.annotate(json_text=Cast(name, TextField()))
        .filter(Q(json_text=None) | Q(json_text__contains=TEXT.code) | Q(json_text__contains=f'"{REFUSED}'))
        .order_by()
        .values_list("pk", field, name)
        .iterator(chunk_size=STEP)
    )
    cut = model._meta.get_field(field).max_length
    while step := list(islice(found, STEP)):
        by_value: dict[tuple[str, str], list[Any]] = {}
        for pk, text, value in step:
            by_value.setdefault((text, json.dumps(value)), []).append(pk)
        made = {
            (text, value): _recoded(text, json.loads(value), is_cut=len(text) == cut)
            for text, value in by_value
        }
        with transaction.atomic():
            _lock(rows.filter(pk__in=[pk for pk, *_ in step]))
            for (text, before), value in made.items():
                if value is not None and value != (was := json.loads(before)):
                    same = rows.filter(pk__in=by_value[text, before], **{field: text})
                    same = same.filter(**{f"{name}__isnull": True} if was is None else {name: was})
                    same.update(**{name: value})


def _recoded(text: str, value: Any, *, is_cut: bool) -> Any:
    """Return a row's JSON with the marked texts in it by their templates."""
    read = _reason_of(text, catalogue_texts(), is_cut=is_cut)
    if value is None:
        return None if read is None else coded(read, column_text=text)
    if value["values"] or not is_whole(value["code"]):
        return _inner_recoded(value)
    if value["of"] != coded_sum(text) or read is None:
        return value
    if value["code"] == TEXT.code:
        return coded(read, column_text=text)
    return coded(Reason(text, value["code"], {"text": read}), column_text=text)


def _inner_recoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_inner_recoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    text = value["values"].get("text")
    is_ours = value["code"] == TEXT.code or value["code"].startswith(REFUSED)
    if is_ours and isinstance(text, str) and (read := _reason_of(text, catalogue_texts())):
        made = dumped(read)
        return made if value["code"] == TEXT.code else {**value, "values": {"text": made}}
    return {**value, "values": {name: _inner_recoded(one) for name, one in value["values"].items()}}
