"""What stands in the cells of lists: each kind is written once, and escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from django.template.loader import render_to_string
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core import formatting
from apps.dashboard.cards import Action
from apps.dashboard.labels import StateLabel
from apps.dashboard.templatetags.poolsite import at_time, breaks, icon

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

LONG: Final = 28
"""A text of more characters may be cut off in its column: it is its own title, too."""
EMPTY: Final = SafeString("")


def title_of(text: StrOrPromise) -> SafeString:
    """Return the attribute with the whole of a text that may be cut off; markup has none."""
    is_short = isinstance(text, SafeString) or len(text) <= LONG
    return EMPTY if is_short else format_html(' title="{}"', text)


def sub(text: StrOrPromise, css: str = "", *, title: str = "") -> SafeString:
    """Return the smaller line below; nothing for an empty one."""
    if not text:
        return EMPTY
    whole = format_html(' title="{}"', title) if title else title_of(text)
    return format_html('<span class="{}"{}>{}</span>', " ".join(("sub", css)).strip(), whole, text)


def link(href: str, text: StrOrPromise, *, id: str = "") -> SafeString:
    """Return a text that leads to its object; without an address the text alone."""
    if not href:
        return conditional_escape(text)
    key = format_html(' id="{}"', id) if id else EMPTY
    return format_html('<a{} href="{}"{}>{}</a>', key, href, title_of(text), breaks(str(text)))


def short_id(shown: StrOrPromise, whole: str) -> SafeString:
    """Return a CID or an address in short, with the whole of it as its title."""
    return format_html('<span class="id" title="{}">{}</span>', whole, shown)


def joined(*parts: StrOrPromise) -> SafeString:
    """Return what stands in one cell after each other."""
    return format_html_join("", "{}", ((part,) for part in parts))


def chip(label: StateLabel) -> SafeString:
    """Return a state as people read it."""
    return format_html(
        '<span class="chip" data-tone="{}">{}{}</span>', label.tone, icon(label.sign), label.word
    )


def say(tone: str, text: StrOrPromise, *, mutes: bool = True) -> SafeString:
    """Return a text with the icon of its tone; without one it is muted, or as it is."""
    if not tone:
        return format_html('<span class="muted">{}</span>', text) if mutes else conditional_escape(text)
    return format_html('<span class="say" data-tone="{}">{}<span>{}</span></span>', tone, icon(tone), text)


def unit(value: StrOrPromise, name: StrOrPromise) -> SafeString:
    """Return a number with its unit."""
    return format_html('{}<span class="unit">{}</span>', value, name)


def fil(atto: int | None, *, is_strong: bool = False) -> SafeString:
    """Return an amount in FIL."""
    amount = formatting.fil(atto)
    return unit(format_html("<strong>{}</strong>", amount) if is_strong else amount, "FIL")


def until(at: int | None, left: str) -> SafeString:
    """Return a countdown; the page's script goes on with it."""
    if not at:
        return EMPTY
    return format_html('<span class="keep" data-until="{}" title="{}">{}</span>', at, at_time(at), left)


def pick(value: object, id: str, name: StrOrPromise) -> SafeString:
    """Return the box by which a row is picked for the bar below."""
    return format_html(
        '<label class="pick"><input type="checkbox" name="id" value="{}" form="selection" id="select-{}"'
        ' data-select><span class="vh">{}</span></label>',
        *(value, id, name),
    )


def partial(template: str, **shown: object) -> SafeString:
    """Return a picture by its template."""
    return render_to_string(template, shown)


def acts(actions: Iterable[Action], key: object, target: str, *, token: str = "") -> SafeString:
    """Return what can be done to a row; `target` is the id of what answers.

    A row that is pushed has no `token`: its forms go with the page's.
    """
    sent = (
        format_html('<input type="hidden" name="csrfmiddlewaretoken" value="{}">', token) if token else EMPTY
    )
    forms = format_html_join(
        "",
        '<form method="post" action="{}" hx-post="{}" hx-target="#{}" hx-swap="outerHTML"'
        ' hx-disabled-elt="find button">{}<button class="btn" data-size="s" type="submit"{} id="{}">{}{}'
        "</button></form>",
        (
            (
                *(action.href, action.href, target, sent),
                format_html(' data-kind="{}"', action.kind) if action.kind else EMPTY,
                *(f"{action.key}-{key}", icon(action.icon), action.label),
            )
            for action in actions
        ),
    )
    return format_html('<div class="actions">{}</div>', forms)


def post_button(
    href: str,
    label: StrOrPromise,
    *,
    token: str,
    about: str = "",
    id: str = "",
    kind: str = "",
    fields: Mapping[str, str] | None = None,
) -> SafeString:
    """Return a button that leads to a question or does something; `about`: to what, for those who hear it."""
    sent = {**({"csrfmiddlewaretoken": token} if token else {}), **(fields or {})}
    return format_html(
        '<form method="post" action="{}">{}<button class="btn" data-size="s"{}{} type="submit">{}{}'
        "</button></form>",
        href,
        format_html_join("", '<input type="hidden" name="{}" value="{}">', sent.items()),
        format_html(' data-kind="{}"', kind) if kind else EMPTY,
        format_html(' id="{}"', id) if id else EMPTY,
        label,
        format_html('<span class="vh"> {}</span>', about) if about else EMPTY,
    )


def buttons(*shown: SafeString) -> SafeString:
    """Return what can be done to a row, side by side."""
    return format_html('<div class="actions">{}</div>', joined(*shown))


def pick_all(name: StrOrPromise) -> SafeString:
    """Return the box by which all rows of a page are picked."""
    return format_html(
        '<label class="pick"><input type="checkbox" id="select-page" data-select-page>'
        '<span class="vh">{}</span></label>',
        name,
    )


def hidden(text: StrOrPromise) -> SafeString:
    """Return a text for those who have the screen read to them."""
    return format_html('<span class="vh">{}</span>', text)
