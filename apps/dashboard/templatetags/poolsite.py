"""Template filters and tags: numbers, times, fields and breadcrumbs in the console's one form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from django import template
from django.conf import settings
from django.template.context import Context
from django.urls import reverse
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext

from apps.core import formatting
from apps.core.languages import colon_text, list_text
from apps.core.local_time import minute_text, page_zone
from apps.core.reasons import shown_text
from apps.dashboard.cards import Action
from apps.dashboard.html_time import time_html
from apps.dashboard.pickers import Picker
from apps.dashboard.rest_twins import twin_of
from poolsite.filecoin.actors.decode import ACTOR_METHODS

Shown = dict[str, Any]
"""The context of a tag's template."""

ICON: Final = '<svg class="icon" aria-hidden="true"><use href="#i-{}" /></svg>'
ICONS_KEPT: Final = 128

register = template.Library()
register.filter("whole", formatting.whole)
register.filter("fil", formatting.fil)
register.filter("fee", lambda atto: formatting.fee_text(int(atto)))
register.filter("fee_nano", lambda atto: formatting.fee_nano(int(atto)))
register.filter("duration", formatting.duration)
register.filter("time_left", formatting.time_left)
register.filter("shortened", formatting.shortened)
register.filter("moment", time_html)
register.filter("shown", shown_text)
register.filter("listed", list_text)
register.filter("colon", colon_text)


@register.simple_tag
def language() -> str:
    """Return the code of the page's language."""
    return get_language() or settings.LANGUAGE_CODE


@register.simple_tag
@lru_cache(ICONS_KEPT)
def icon(name: str) -> SafeString:
    """Return one of the sprite's icons, by its name or a tone; pages have a hundred."""
    return format_html(ICON, "wait" if name == "idle" else name)


@register.simple_tag
def zone_name() -> str:
    """Return the name of the page's time zone."""
    return page_zone().name


@register.filter
def at_time(until: int | None) -> str:
    """Return the time of a countdown's end, for its title; empty for one of an epoch beyond all years."""
    try:
        return "" if until is None else minute_text(datetime.fromtimestamp(until, UTC))
    except (ValueError, OverflowError, OSError):
        return ""


@register.filter
def html_key(name: str) -> str:
    """Return an id or address as part of an HTML id: callers may choose any characters."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "-") else f"_{ord(c):x}_" for c in name)


@register.filter
def size(count: int | None) -> str:
    """Return a size in bytes with its unit."""
    return " ".join(formatting.size(count))


@register.filter
def price(atto: int | None) -> str:
    """Return a fee per gas with its unit; one of 0 is not set yet."""
    return formatting.fee_nano(atto or None)


@register.filter
def used(count: int | None) -> str:
    """Return a number that is 0 until it is known."""
    return formatting.whole(count or None)


@register.filter
def sentence(text: str) -> str:
    """Return a text with a capital first letter; an address or a URL in front stays as it is."""
    return capfirst(text) if text.split(" ")[0].rstrip(",:").isalpha() else text


@register.filter
def points(share: float) -> int:
    """Return a share of 0 to 1 in whole percent, as charts take it."""
    return round(100 * share)


@register.filter
def percent(share: float) -> str:
    """Return a share of 0 to 1 in percent."""
    return formatting.percent(share, 1)


@register.filter
def milliseconds(count: float | None) -> str:
    """Return how long something took."""
    return formatting.duration(None if count is None else count / 1000)


@register.filter
def exit_code(code: int | None) -> str:
    """Return how a process ended: `killed by signal 9`, `exit code 1`."""
    if code is None:
        return formatting.NOTHING
    return (
        gettext("killed by signal {number}").format(number=-code)
        if code < 0
        else gettext("exit code {code}").format(code=code)
    )


@register.filter
def size_number(count: int | None) -> str:
    """Return the number of a size in bytes, without its unit."""
    return formatting.size(count)[0]


@register.filter
def size_unit(count: int | None) -> str:
    """Return the unit of a size in bytes."""
    return formatting.size(count)[1]


@register.filter
def fee_number(atto: int | None) -> str:
    """Return the number of a fee per gas, without its unit."""
    return formatting.fee(atto)[0]


@register.filter
def fee_unit(atto: int | None) -> str:
    """Return the unit of a fee per gas."""
    return formatting.fee(atto)[1]


@register.inclusion_tag("core/_crumbs.html")
def crumbs(*steps: str, id: str = "") -> Shown:
    """Return the way to a page: label and URL name, path or "" of each one above it, then its own."""
    *above, here = steps
    links = [
        (label, reverse(at) if at and not at.startswith("/") else at)
        for label, at in zip(above[::2], above[1::2], strict=True)
    ]
    return {"steps": links, "here": here, "id": id}


@register.inclusion_tag("core/_error.html", takes_context=True)
def error(context: Context, name: str, id: str = "") -> Shown:
    """Return what is wrong with a field of the page's form."""
    return {"text": context["form"][name].error, "id": id or f"{name}-error"}


@register.inclusion_tag("core/_field.html", takes_context=True)
def field(context: Context, name: str, label: str, **options: Any) -> Shown:
    """Return a line of the page's form: value and error by its name, unless the caller says others."""
    bound = context["form"][name]
    return {"id": name, "value": bound.shown, "error": bound.error, "name": name, "label": label} | options


@register.inclusion_tag("core/_choose.html", takes_context=True)
def choose(
    context: Context, name: str, label: str, options: Iterable[Any] | None = None, **more: Any
) -> Shown:
    """Return a line of the page's form whose value is one of a few: those of its field, or what is given.

    Those are texts, or pairs of value and text.
    """
    bound = context["form"][name]
    given = bound.field.choices if options is None else options
    pairs = [(one, one) if isinstance(one, str) else (str(one[0]), one[1]) for one in given]
    return field(context, name, label, options=pairs, value=str(bound.shown), **more)


@register.inclusion_tag("core/_tick.html", takes_context=True)
def tick(context: Context, name: str, label: str) -> Shown:
    """Return a box of the page's form that is ticked or not, with its label."""
    return {"name": name, "label": label, "is_ticked": bool(context["form"][name].shown)}


@register.inclusion_tag("core/_method_list.html")
def method_list() -> Shown:
    """Return the methods that a field with `list="methods"` proposes, each with its actors and numbers."""
    places: dict[str, list[str]] = {}
    for kind, methods in ACTOR_METHODS.items():
        for number, spec in methods.items():
            places.setdefault(spec.name, []).append(f"{kind} {number}")
    return {"methods": [(name, list_text(places[name])) for name in sorted(places)]}


@register.inclusion_tag("core/_picker.html", takes_context=True)
def picker(context: Context, name: str, label: str, picker: Picker, **options: Any) -> Shown:
    """Return a line of the page's form whose value is one of many."""
    return field(context, name, label, picker=picker, **{"first": "", **options})


@register.inclusion_tag("core/_picker_several.html", takes_context=True)
def picker_several(context: Context, name: str, label: str, picker: Picker, **options: Any) -> Shown:
    """Return a line of the page's form whose values are some of many."""
    return field(context, name, label, picker=picker, **options)


@register.inclusion_tag("core/_ticks.html", takes_context=True)
def ticks(context: Context, name: str, label: str, offered: Sequence[tuple[str, str]], **more: Any) -> Shown:
    """Return a folded line of the page's form whose values are ticked; none is all."""
    bound = context["form"][name]
    chosen = bound.field.ticked(bound.shown)
    known = {value for value, _text in offered}
    options = [*((value, value) for value in chosen if value not in known), *offered]
    summary = list_text([str(text) for value, text in options if value in chosen])
    return field(context, name, label, options=options, chosen=chosen, summary=summary, **more)


@register.inclusion_tag("core/_row_acts.html")
def row_acts(actions: Sequence[Action], key: object, target: str, end: str = "") -> Shown:
    """Return what can be done to a row; `target`, its key and `end` are the id of what answers."""
    return {"actions": actions, "key": key, "target": target, "end": end}


@register.inclusion_tag("users/_passkey_form.html", takes_context=True)
def passkey_form(context: Context, label: str, action: str, options: str, **more: Any) -> Shown:
    """Return a form that a passkey answers; it sends along what the page keeps for the next one."""
    sent = {"next": context.get("next", ""), "hidden_fields": context.get("hidden_fields", ())}
    return {"label": label, "action": action, "options": options, "kind": "get"} | sent | more


CAPITAL: Final = re.compile("(?<=[a-z0-9])(?=[A-Z])")


@register.filter
def breaks(text: str) -> SafeString:
    """Return a name such as PreCommitSector that a narrow column breaks at capitals only; markup as it is."""
    if isinstance(text, SafeString):
        return text
    return SafeString(CAPITAL.sub("<wbr>", conditional_escape(text)))


TOPBAR: Final = ("page_scope", "chain_status", "bell", "person", "themes", "page_href", "zone")
"""What the bar at the top of each page needs of the layout."""


@register.inclusion_tag("_rest_twin.html", takes_context=True)
def rest_twin(context: Context) -> Shown:
    """Return the page's request of REST and its command."""
    return {"twin": twin_of(context["request"])}


@register.inclusion_tag("_topbar.html", takes_context=True)
def topbar(context: Context) -> Shown:
    """Return what the bar at the top shows, and where to come back to when the theme is changed."""
    return {name: context[name] for name in TOPBAR}
