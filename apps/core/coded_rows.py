"""Gives rows of before there were codes theirs, by the texts of that time: for migrations, beside writers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from django.db import transaction
from django.utils.translation import override

from apps.core.formatting import DAY_S, HOUR_S, MINUTE_S, NARROW
from apps.core.reason_fields import CODED
from apps.core.reasons import CLAUSES, OLD, TEXT, Reason, as_reason, coded, counted, lasting
from apps.core.stored_texts import FIGURE_HOLES, SURE_MIN, TEXT_HOLES, Template, stored_text, template_of

STEP: Final = 500
"""Rows of one statement."""
PLAIN_MIN: Final = 8
"""Characters of a template whose values are names, or reasons themselves: `paused by ann`, `a, b offline`."""

COUNTED: Final = re.compile(rf"(\d[\d{NARROW}]*) ([a-z][a-z ]*)")
LASTED: Final = re.compile(r"(?:(\d+) d ?)?(?:(\d+) h ?)?(?:(\d+)(?: min)? ?)?(?:(\d+) s)?")

Texts = list[tuple[str, "Template"]]


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
    known = [
        (code, template_of(text, text))
        for code, some in texts.items()
        for text in ([some] if isinstance(some, str) else some)
    ]
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
    for code, one in sorted(known, key=lambda pair: pair[1].rank):
        values = one.values_of_cut(text) if is_cut else one.values_of(text) if one.holes else None
        if one.literals == (text,) or (values is not None and _is_likely(one, values, known)):
            return Reason(
                text,
                code,
                {name.partition(":")[0]: _value(name, each, known) for name, each in (values or {}).items()},
            )
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
    """Return a text that is of no code: one of another place that has none yet, or an old one."""
    with override("zh-hans"):
        code = OLD.code if stored_text(text) == text else TEXT.code
    return Reason(text, code, {"text": text})
