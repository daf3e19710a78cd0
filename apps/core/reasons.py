"""Reasons: why something is as it is, as a code with values, which a page shows in its reader's language.

Each app declares its own in `reasons.py`.  A reason is its English text, so that machines, logs and searches
read it as any other; decisions ask for its code (decision 51).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from typing import Any, Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.text import Truncator
from django.utils.translation import gettext, gettext_noop, ngettext, override, pgettext

from apps.core import marked_texts
from apps.core.errors import DomainError
from apps.core.formatting import NOTHING, plural, plural_kept, time_left, time_left_kept
from apps.core.languages import clauses_text, list_text
from apps.core.local_time import moment_text
from apps.core.marked_texts import FORMATTER, TEMPLATE, TEMPLATED, CodedText, MarkedText, shown


class Reason(CodedText):
    """The English text of a reason, with the code and values that it was made of."""

    __slots__ = ()

    def shown(self) -> str:
        """Return it in the page's language; what others said, and older texts, are as they were."""
        code, values = self.code, self.values
        if code == OLD.code or code.startswith(QUOTED):
            return str(self)
        if is_whole(code):
            text = values["text"]
            return text.shown() if isinstance(text, CodedText) else gettext(text)
        if code in SHOWN:
            return SHOWN[code](**values)
        made = {name: _shown(value) for name, value in values.items()}
        return FORMATTER.vformat(REASONS[code].translated(values), (), made)


def _shown(value: Any) -> Any:
    return clauses_text(map(_shown, value)) if isinstance(value, list) else shown(value)


def shown_text(text: str) -> str:
    """Return a text of a row in the page's language: a reason, or a marked text without values."""
    text = english(text)
    if isinstance(text, Reason):
        return text.shown()
    return gettext(text) if text else ""


@dataclass(frozen=True, slots=True)
class ReasonKind:
    """A declared reason: a call with its values makes one."""

    code: str
    """Stable code `app.name`, as rows store it and programs compare it."""
    template: str
    """In English, with its values' names; marked for translation."""
    many: str = ""
    """The same where the value `counted` is not one."""
    counted: str = "count"

    def __call__(self, **values: Any) -> Reason:
        """Return the reason with these values."""
        is_many = self.many and values.get(self.counted) != 1
        template = self.many if is_many else self.template
        values = {name: english(value) for name, value in values.items()}
        return Reason(FORMATTER.vformat(template, (), values), self.code, values)

    def made(self, text: str) -> bool:
        """Return whether a row's text is of this reason, whatever its values.

        A version from before codes wrote the text alone: without values that is enough.
        """
        return text.code == self.code if isinstance(text, Reason) else text == self.template

    def translated(self, values: Mapping[str, Any]) -> str:
        """Return the template in the page's language."""
        if not self.many:
            return gettext(self.template)
        count = values.get(self.counted)
        return ngettext(self.template, self.many, count if isinstance(count, int) else 2)


REASONS: Final[dict[str, ReasonKind]] = {}
"""All that this version knows, by code: each app's are loaded at the start."""


def reason(code: str, template: str, many: str = "", *, counted: str = "count") -> ReasonKind:
    """Declare a reason."""
    assert code not in REASONS, code
    return REASONS.setdefault(code, ReasonKind(code, template, many, counted))


def ngettext_noop(one: str, many: str) -> tuple[str, str]:
    """Mark a text and its plural."""
    return one, many


CLAUSES: Final = reason(marked_texts.CLAUSES, "{parts}")
"""Several reasons, as clauses of one sentence."""
COLON: Final = reason(marked_texts.COLON, gettext_noop("{one}: {other}"))
"""What something is about, and the reason."""
LISTED: Final = reason("core.listed", gettext_noop("{one}, {other}"))
"""Two parts of a list, the other of which may be further ones."""
LINES: Final = reason("core.lines", "{parts}")
"""Several reasons, each on a line: `lines` makes one."""
COUNT: Final = reason(marked_texts.COUNT, "{count} {noun}")
"""A number of things: `counted` makes one."""
TIME_LEFT: Final = reason("core.time_left", "{seconds}")
"""How long something takes or took: `lasting` makes one."""
MOMENT: Final = reason("core.moment", "{at}")
"""A time, told in the zone and language of its reader."""
CUT: Final = reason("core.cut", "{text}")
"""So much of a reason as is shown: `cut` makes one."""
AND_MORE: Final = reason("core.and_more", gettext_noop("{names} and {count} more"))
MARKED: Final = reason("core.marked", "{text}")
"""A marked text without values, such as the name of a state; with a `context` if it is marked with one."""
OLD: Final = reason("core.old", "{text}")
"""A text from before there were codes that is of none."""
TEXT: Final = reason("core.text", "{text}")
"""A text of a place that has no codes yet, within a reason."""
QUOTED: Final = "said."
"""Begins the codes of what another program said: shown as it was said."""
REFUSED: Final = "refused."
"""Begins the codes of refusals that have no reason of their own: the refusal's own code follows."""
WHOLE: Final = (QUOTED, REFUSED, OLD.code, TEXT.code)
"""Begin the codes of reasons whose text is all that they have."""


def quoted(text: str, *, by: str) -> Reason | str:
    """Return what a program said, marked as its own words; `by`: node, worker, signer …"""
    return Reason(text, f"{QUOTED}{by}", {"text": text}) if text else ""


def english(text: Any) -> Any:
    """Return a marked text as the reason that it tells, in English; anything else as it is."""
    if isinstance(text, list):
        return [english(one) for one in text]
    if isinstance(text, MarkedText):
        return (MADE.get(text.code) or REASONS[text.code])(**text.values)
    return _label(text) if isinstance(text, Promise) else text


def _label(text: Promise) -> Reason:
    """Return a lazily translated text, such as the label of a choice."""
    with override(settings.LANGUAGE_CODE):
        return MARKED(text=str(text))


def as_reason(text: str) -> Reason | str:
    """Return a text that another row or an exception tells, for use within a reason."""
    text = english(text)
    return text if isinstance(text, Reason) or not text else TEXT(text=str(text))


def _templated(**values: Any) -> Reason:
    made = {name: english(value) for name, value in values.items()}
    return Reason(_filled(made[TEMPLATE], made), TEMPLATED, made)


def _templated_shown(**values: Any) -> str:
    made = {name: _shown(value) for name, value in values.items()}
    return _filled(gettext(made[TEMPLATE]), made)


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """Return a template with its values; one of none, which may have braces, is no template."""
    return FORMATTER.vformat(template, (), values) if len(values) > 1 else template


def _list(parts: Sequence[str]) -> Reason:
    stored = english(list(parts))
    return Reason(", ".join(map(str, stored)), marked_texts.LIST, {"parts": stored})


def lines(parts: Sequence[str]) -> Reason:
    """Return several reasons, each but the first on a line of a list."""
    stored = english(list(parts))
    return Reason("\n- ".join(map(str, stored)), LINES.code, {"parts": stored})


def _lines_shown(parts: Sequence[str]) -> str:
    return "\n- ".join(str(_shown(one)) for one in parts)


def _marked_shown(text: str, context: str = "") -> str:
    return pgettext(context, text) if context else gettext(text)


def counted(count: int, noun: str, many: str = "") -> Reason:
    """Return `3 sectors`, for use within a reason; `plural` marks the noun for translation."""
    values = {"count": count, "noun": noun} | ({"many": many} if many else {})
    return Reason(plural_kept(count, noun, many), COUNT.code, values)


def lasting(seconds: float | None) -> str:
    """Return `2 h 05`, for use within a reason."""
    if seconds is None:
        return NOTHING
    return Reason(time_left_kept(seconds), TIME_LEFT.code, {"seconds": int(seconds)})


def cut(text: str, most: int) -> str:
    """Return a reason of which at most so many characters are shown, in each language."""
    return _part(text, most) if len(text) > most else text


def _part(text: str, most: int) -> Reason:
    return Reason(Truncator(text).chars(most), CUT.code, {"text": text, "most": most})


def _part_shown(text: str, most: int) -> str:
    return Truncator(_shown(text)).chars(most)


def colon(one: object, other: str) -> str:
    """Return what something is about, and the reason if there is one."""
    about = one if isinstance(one, CodedText) else str(one)
    return COLON(one=about, other=as_reason(other)) if other else about


def listed(parts: Sequence[str]) -> str:
    """Return several reasons as a list: `3 as recorded, 2 missing`."""
    one, *others = parts or ("",)
    return LISTED(one=one, other=listed(others)) if others else one


def clauses(*parts: str) -> str:
    """Return the reasons that are not empty as clauses of one sentence."""
    known = [part for part in parts if part]
    return CLAUSES(parts=known) if len(known) > 1 else next(iter(known), "")


def fitted(text: str, most: int) -> str:
    """Return so much of a text as a column takes; a reason is cut there, and keeps its values."""
    text = english(text)
    return text if isinstance(text, Reason) else text[:most]


def refused(refusal: DomainError) -> Reason:
    """Return why something was refused: its reason, or its text under the code of its kind."""
    text = english(refusal.reason)
    has_own = isinstance(text, Reason) and text.code not in {TEMPLATED, TEXT.code}
    return text if has_own else _refused(refusal, text)


def _refused(refusal: DomainError, text: str) -> Reason:
    return Reason(str(text), f"{REFUSED}{refusal.code}", {"text": text})


def reason_of(error: BaseException) -> Reason | str:
    """Return why an act failed: its refusal with the field that it names, or what the fault says."""
    if not isinstance(error, DomainError):
        return as_reason(str(error))
    return _refused(error, colon(error.field, error.reason)) if error.field else refused(error)


def is_whole(code: str) -> bool:
    """Return whether a reason of this code is its text."""
    return code.startswith(WHOLE)


def reasons_within(text: str) -> Iterator[Reason | str]:
    """Yield a reason, then those that are its values, at any depth; a plain text yields itself."""
    yield text
    if isinstance(text, Reason) and not is_whole(text.code):
        for value in text.values.values():
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, str):
                    yield from reasons_within(part)


def code_of(text: str) -> str:
    """Return the code of a row's text; empty if it has none."""
    return text.code if isinstance(text, Reason) else ""


def coded(text: Any, *, column_text: str | None = None) -> dict[str, Any] | None:
    """Return a reason as JSON; None of a plain text.  `column_text`: what the column beside has of its text.

    With a sum of that: a version that knows no codes changes the text alone.
    """
    text = english(text)
    if not isinstance(text, Reason):
        return None
    is_text = is_whole(text.code) and not isinstance(text.values["text"], Reason)
    values = {} if is_text else {name: dumped(value) for name, value in text.values.items()}
    return {
        "code": text.code,
        "values": values,
        "of": coded_sum(str(text) if column_text is None else column_text),
    }


CODE_SQL: Final = (
    "CASE WHEN {column}_coded->>'of' = left(md5({column}), 8) THEN {column}_coded->>'code' ELSE '' END"
)


def code_sql(column: str) -> str:
    """Return SQL for the code of a column's text; empty, never null, if it has none."""
    return CODE_SQL.format(column=column)


def coded_sum(text: str) -> str:
    """Return the sum of a column's text that goes with its code."""
    return md5(text.encode(errors="replace"), usedforsecurity=False).hexdigest()[:8]


def dumped(value: Any) -> Any:
    """Return a value of a reason as JSON has it."""
    if isinstance(value, Reason):
        return {"code": value.code, "values": {name: dumped(one) for name, one in value.values.items()}}
    if isinstance(value, list | tuple):
        return [dumped(one) for one in value]
    return value if isinstance(value, int | float) else str(value)


def coded_read(text: str, coded: Mapping[str, Any] | None) -> Reason | str:
    """Return a row's text as the reason that its JSON tells, or as it is if that is another text's."""
    if not text or not coded or coded["of"] != coded_sum(text):
        return text
    code: str = coded["code"]
    if is_whole(code) and not coded["values"]:
        return Reason(text, code, {"text": text})
    try:
        made: Reason = _loaded(coded)
    except (LookupError, TypeError, ValueError):  # a newer version's
        return text
    return Reason(text, code, made.values)


def _loaded(value: Any) -> Any:
    if isinstance(value, list):
        return [_loaded(one) for one in value]
    if not isinstance(value, dict):
        return value
    code = value["code"]
    values = {name: _loaded(one) for name, one in value["values"].items()}
    if code in MADE:
        return MADE[code](**values)
    if is_whole(code):
        return Reason(str(values["text"]), code, values)
    return REASONS[code](**values)


MADE: Final[dict[str, Callable[..., Any]]] = {
    TEMPLATED: _templated,
    marked_texts.LIST: _list,
    LINES.code: lines,
    COUNT.code: counted,
    TIME_LEFT.code: lasting,
    CUT.code: _part,
}
"""By code what makes a reason whose text is not its template's."""
SHOWN: Final[dict[str, Callable[..., str]]] = {
    TEMPLATED: _templated_shown,
    marked_texts.LIST: lambda parts: str(list_text(parts)),
    LINES.code: _lines_shown,
    MARKED.code: _marked_shown,
    COUNT.code: plural,
    TIME_LEFT.code: time_left,
    MOMENT.code: lambda at: moment_text(datetime.fromisoformat(at)),
    CUT.code: _part_shown,
}
"""By code what tells such a reason in the page's language."""
