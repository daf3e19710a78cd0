"""Recovery: why nothing is signed after a restore, and deciding about messages on chain without a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue
from apps.dashboard.confirm_page import confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.pages.recovery.facts import facts_of
from apps.dashboard.pages.recovery.questions import QUESTIONS_BY_KEY, is_on, questions_of
from apps.dashboard.pages.recovery.unmatched import SHOWN, choices_of
from apps.dashboard.pages.recovery.verdict import verdict_of
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.messages.selectors.recovery import recovery_row, unmatched_get, unmatched_open
from apps.messages.services.recovery.restore import unmatched_decide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.users.rules.principals import Principal


def context_of() -> dict[str, Any]:
    """Return what the page's parts need."""
    row = recovery_row()
    undecided = unmatched_open()
    found, count = list(undecided[:SHOWN]), undecided.count()
    parts = {
        "is_on": is_on(row),
        "facts": facts_of(row),
        "questions": questions_of(row),
        "left_out": count - len(found),
        **choices_of(found),
    }
    return {"verdict": verdict_of(row, undecided=count), "recovery": parts}


def all_parts(context: FragmentContext) -> Iterable[str]:
    """Render the sentence, the facts and the messages anew, for the operator alone."""
    if not context.viewer.is_operator:
        return
    shown = {**context_of(), "may_act": context.viewer.may("admin")}
    yield fragment("dashboard/_verdict.html", verdict=shown["verdict"])
    yield fragment("recovery/_state.html", **shown)
    yield fragment("recovery/_messages.html", **shown)


OUTSIDE: Final = "outside"
"""Value of the choice that a message was sent outside the pool."""


class DecisionForm(PageForm):
    """Which question is settled, or which message one on chain is."""

    settle = Text()
    cid = Text()
    message = Text()


@sign_in_required
def recovery(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what is left to do, and take a decision; the operator's alone."""
    form = DecisionForm.of(request)
    if not viewer.is_operator or (form.is_bound and not viewer.may("admin")):
        raise Http404
    if form.is_valid():
        question = QUESTIONS_BY_KEY.get(form.cleaned_data["settle"])
        if question is not None and not is_confirm_submitted(request):
            return confirm_page_render(request, viewer, question.confirm())
        with form.refusals():
            if question is not None:
                question.settle(principal=viewer, now=clock.now())
            else:
                _decide(viewer, form.cleaned_data)
            return redirect("recovery")
    return form_render(
        request,
        viewer,
        "recovery/page.html",
        form,
        title=_("Recovery"),
        section="messages",
        page_key="recovery",
        may_act=viewer.may("admin"),
        act_error=form.why,
        **context_of(),
    )


def _decide(viewer: Principal, sent: dict[str, str]) -> None:
    """Note which message one on chain is.  Raises DomainError."""
    if not sent["message"]:
        raise BadValue(gettext("choose which message it is"), field="message")
    unmatched_decide(
        principal=viewer,
        row=unmatched_get(sent["cid"]),
        message_id="" if sent["message"] == OUTSIDE else sent["message"],
        client=chain_client(),
        now=clock.now(),
    )


urlpatterns: Final = [
    path("recovery/", recovery, name="recovery"),
]
LIVE: Final = {"recovery": LivePage({"recovery": (all_parts,)})}
