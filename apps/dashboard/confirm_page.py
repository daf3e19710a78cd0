"""Asking before what cannot be undone: the first click shows what it means, the second does it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from apps.core.reasons import shown_text
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.messages.services.signer_trials import Verdicts
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

CONFIRM_FIELD: Final = "sure"
"""Field of the second click."""


@dataclass(frozen=True, slots=True)
class ConfirmPage:
    """A question before an action."""

    title: StrOrPromise
    text: StrOrPromise
    """What it means."""
    label: StrOrPromise
    """Of the button that does it."""
    back: str
    """Address of the page that it came from."""
    page: StrOrPromise
    """That page's name."""
    section: str
    hidden_fields: tuple[tuple[str, str], ...] = ()
    """Fields of the first click that the second brings again."""
    facts: tuple[tuple[str, ...], ...] = ()
    """What is reviewed before it is done: name and value, and where it is changed if there is a third."""
    is_danger: bool = True
    """Whether it destroys something, or takes something away; its button is red then."""


def approval_facts(rule: str) -> Iterable[tuple[str, str]]:
    """Yield that a message would wait for a second person, and by which rule; nothing if it would not."""
    if rule:
        yield gettext("Approval"), gettext("waits for a second person: {rule}").format(rule=shown_text(rule))


def signer_facts(refusal: str) -> Iterable[tuple[str, str]]:
    """Yield why the signer would refuse a message, and what follows; nothing if it would sign."""
    if refusal:
        yield gettext("Signer"), shown_text(refusal)
        yield (
            gettext("If you continue"),
            gettext(
                "the message waits and is retried until its signer accepts it; "
                "the rules are on Signing policy"
            ),
        )


def refusal_linked(facts: Iterable[tuple[str, str]], refusal: str, *, href: str) -> Iterable[tuple[str, ...]]:
    """Yield facts, the signer's refusal with the page that mends its policy."""
    for name, text in facts:
        yield (name, text, href) if href and text == refusal else (name, text)


def verdict_facts(verdicts: Verdicts) -> Iterable[tuple[str, str]]:
    """Yield what the approval rules and the signer would do with messages; nothing if they take their way."""
    yield from approval_facts(verdicts.approval)
    yield from signer_facts(verdicts.signer)


def is_confirm_submitted(request: HttpRequest) -> bool:
    """Return whether the question was answered."""
    return request.method == "POST" and request.POST.get(CONFIRM_FIELD) == "yes"


def confirm_page_render(
    request: HttpRequest,
    viewer: Principal,
    confirm: ConfirmPage,
    *,
    status: int = 200,
    template: str = "core/confirm.html",
    **context: Any,
) -> HttpResponse:
    """Show the question; its form goes to the same address."""
    return page_render(
        request,
        template,
        title=confirm.title,
        section=confirm.section,
        page_key="",
        data=PageData(viewer),
        status=status,
        confirm=confirm,
        **context,
    )
