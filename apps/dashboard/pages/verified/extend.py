"""Extending claims: which, until when, who sends it; then what it does and costs, and the second click."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.chain.node.client import chain_client
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted, signer_facts
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.number_fields import Integer
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.addresses import head_required, price_facts
from apps.dashboard.pickers import picker
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Key, Text, TextList, Tick
from apps.sectors.services.verified.extensions import (
    ExtensionPlan,
    ExtensionRequest,
    extension_plan,
    extension_push,
    extension_refusal_read,
)
from apps.users.rules.principals import Principal

REFUSED_SHOWN: Final = 3


class Claims(TextList):
    """Ids of claims."""

    def clean(self, value: Any) -> tuple[int, ...]:  # type: ignore[override]  # numbers, not texts
        """Return the ids.  Raises ValidationError."""
        typed = super().clean(value)
        if not all(text.isascii() and text.isdigit() and len(text) < 19 for text in typed):
            raise ValidationError(_("enter the ids of claims"))
        return tuple(int(text) for text in typed)


class ExtensionForm(PageForm):
    """Which claims, until when; the key makes a double click one message."""

    claims = Claims()
    sender = Text()
    end_epoch = Integer()
    """Empty: as late as the chain takes."""
    spends_data_cap = Tick()
    key = Key()
    blamed = "claims"

    def request(self) -> ExtensionRequest:
        """Return what is asked."""
        return ExtensionRequest(**self.cleaned_data | {"end_epoch": self.cleaned_data["end_epoch"] or None})


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def extend(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form; it asks with the price first, and is sent after the second click."""
    if not viewer.may("sign"):
        raise Http404
    form, data = ExtensionForm.from_address(request), PageData(viewer)
    if request.method == "POST" and form.is_valid():
        is_confirmed = is_confirm_submitted(request)
        if is_confirmed and (held := reauthenticate_first(request, viewer)) is not None:
            return held
        with form.refusals():
            wanted, head, client = form.request(), head_required(data), chain_client()
            if is_confirmed:
                message, _plan = extension_push(wanted, by=viewer, client=client, head=head)
                return redirect("message", message.pk)
            plan = extension_plan(wanted, by=viewer, client=client, head=head)
            plan.run_check()
            refused = extension_refusal_read(plan, by=viewer)
            back = form.address_of(reverse("claims-extend"))
            return confirm_page_render(request, viewer, confirm_of(wanted, plan, refused, back=back))
    return form_render(
        request,
        viewer,
        "verified/extend.html",
        form,
        title=_("Extend claims"),
        section="pieces",
        data=data,
        senders=picker(viewer, "owner", value=form.typed["sender"]),
    )


def confirm_of(wanted: ExtensionRequest, plan: ExtensionPlan, refused: str, *, back: str) -> ConfirmPage:
    """Return the question: it names the claims that the chain would extend, and until when."""
    numbers = " ".join(str(one.row.number) for one in plan.accepted)
    ends = {one.new_end for one in plan.accepted}
    end = str(min(ends)) if len(ends) == 1 else str(wanted.end_epoch or "")
    return ConfirmPage(
        is_danger=False,
        title=_("Extend {claims}").format(claims=plural(len(plan.accepted), "verified claim")),
        text=_(
            "This sends one message. The claims last longer once it has landed; extend their sectors then."
        ),
        label=_("Send message"),
        back=back,
        page=_("Extend claims"),
        section="pieces",
        hidden_fields=(
            ("claims", numbers),
            ("sender", wanted.sender),
            ("end_epoch", end),
            *((("spends_data_cap", "1"),) if wanted.spends_data_cap else ()),
            ("key", wanted.key),
        ),
        facts=tuple(plan_facts(plan, refused)),
    )


def plan_facts(plan: ExtensionPlan, refused: str) -> Iterable[tuple[str, str]]:
    """Yield what the message does, what it spends, and what is left out."""
    accepted = plan.accepted
    yield _("Claims"), list_text([str(one.row.number) for one in accepted])
    yield _("End now, the first"), formatting.whole(min(one.old_end for one in accepted))
    ends = sorted({one.new_end for one in accepted})
    shown = [formatting.whole(end) for end in (ends if len(ends) == 1 else (ends[0], ends[-1]))]
    yield _("End afterwards"), " – ".join(shown)
    if plan.data_cap:
        left = plan.data_cap_left - plan.data_cap
        yield _("DataCap spent"), formatting.joined_size(plan.data_cap)
        yield _("DataCap left"), formatting.joined_size(left)
    else:
        yield _("DataCap spent"), _("none: the claims' own client sends it")
    for one in plan.refused[:REFUSED_SHOWN]:
        yield _("Left out"), one.refusal
    if len(plan.refused) > REFUSED_SHOWN:
        yield _("Left out"), _("{count} more").format(count=len(plan.refused) - REFUSED_SHOWN)
    yield _("Sent by"), str(plan.item.from_)
    yield from price_facts(plan.run)
    yield from signer_facts(refused)


urlpatterns: Final = [path("claims/extend/", extend, name="claims-extend")]
