"""Approvals: messages that wait for a second person, and the rules that make them wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.core.languages import list_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Verdict
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.layout import page_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Amount
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.gas.guards import tenants_of
from apps.dashboard.pages.messages.rows import MessageRow, message_row
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.scope import scope_chosen
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.messages.selectors.approval_choice import approval_rule_describe
from apps.messages.selectors.approvals import (
    approval_rule_get,
    approval_rules_visible,
    messages_unapproved,
)
from apps.messages.services.approval_rules import (
    approval_rule_add,
    approval_rule_removal_cancel,
    approval_rule_removal_request,
    approval_rule_remove,
)
from apps.messages.services.method_rules import method_read
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_or_all
from poolsite.filecoin.actors.decode import ACTOR_METHODS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import ApprovalRule

SHOWN_MAX: Final = 100
"""Messages that the page shows; the list of messages has a filter for all."""
ACTS: Final[tuple[tuple[str, StrOrPromise], ...]] = (
    ("miner.WithdrawBalance", _("miner: withdraw")),
    ("miner.ChangeOwnerAddress", _("miner: change the owner")),
    ("miner.ChangeBeneficiary", _("miner: change the beneficiary")),
    ("miner.ChangeWorkerAddress", _("miner: change worker or control addresses")),
    ("miner.TerminateSectors", _("miner: terminate sectors")),
    ("market.WithdrawBalance", _("market: withdraw from escrow")),
    ("multisig.", _("multisig: any method")),
    ("multisig.Approve", _("multisig: approve a proposal")),
    (".", _("any message that moves more than the amount")),
)
"""What rules are mostly for: kind of actor and method."""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule."""

    key: str
    whose: str
    what: str
    created_by: str
    created_at: datetime
    removal_by: str
    removal_at: datetime | None
    can_change: bool
    is_own_request: bool
    """Whether the viewer is the first of the two people who remove it."""

    @property
    def named(self) -> str:
        """What it applies to, and whose."""
        return list_text((self.what, self.whose))


def may_change(viewer: Principal, tenant_id: int | None) -> bool:
    """Return whether the viewer may add and remove rules of a tenant, or (None) of all."""
    is_own = tenant_id is not None and tenant_id == viewer.tenant_id
    return viewer.may("admin") and (viewer.is_operator or is_own)


def rule_row(rule: ApprovalRule, viewer: Principal) -> RuleRow:
    """Lay out one rule."""
    return RuleRow(
        key=str(rule.uuid),
        whose=rule.tenant.name if rule.tenant else gettext("all tenants"),
        what=shown_text(approval_rule_describe(rule)),
        created_by=rule.created_by,
        created_at=rule.created_at,
        removal_by=rule.removal_by,
        removal_at=rule.removal_at,
        can_change=may_change(viewer, rule.tenant_id),
        is_own_request=rule.removal_by == viewer.actor,
    )


@require_safe
@sign_in_required
def approvals(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what waits for a second person, and the rules."""
    return approvals_page(request, viewer)


def approvals_page(request: HttpRequest, viewer: Principal, *, error: str = "") -> HttpResponse:
    """Render the page; `error` is what was refused a moment ago."""
    data, waiting = PageData(viewer), messages_unapproved(viewer)
    count = waiting.order_by().count()
    rows: list[MessageRow] = [message_row(row, data.names) for row in waiting[:SHOWN_MAX]]
    return page_render(
        request,
        "approvals/page.html",
        title=_("Approvals"),
        section="messages",
        page_key="",
        data=data,
        status=422 if error else 200,
        error=error,
        verdict=_verdict(count),
        messages=rows,
        has_more=count > len(rows),
        all_href=f"{reverse('messages')}?{urlencode({'state': 'approval', **scope_chosen(request)})}",
        rules=[rule_row(rule, viewer) for rule in approval_rules_visible(viewer)],
        may_add=viewer.may("admin"),
        may_decide=viewer.may("sign"),
    )


def _verdict(count: int) -> Verdict:
    """Return in one sentence what waits."""
    if not count:
        return Verdict(gettext("No message needs approval."), "")
    messages = plural(count, "message waits", "messages wait")
    return Verdict(gettext("{messages} for a second person.").format(messages=messages), "")


class RuleForm(PageForm):
    """A rule: one of the usual acts, or an actor and a method."""

    tenant = Found(tenant_or_all)
    act = Choice([("", _("another method, below")), *ACTS])
    actor = Choice([("", _("any")), *sorted(ACTOR_METHODS)])
    method = Text()
    above = Amount()


def rule_wanted(form: RuleForm) -> tuple[str, int | None]:
    """Return the kind of actor and the method that a form names.  Raises BadValue."""
    sent = form.cleaned_data
    actor, _, method = sent["act"].partition(".") if sent["act"] else (sent["actor"], "", sent["method"])
    if sent["act"] and (sent["actor"] or sent["method"]):
        raise BadValue(gettext("leave it empty, or choose “another” above"), field="method")
    return actor, method_read(method, kind=actor) if method else None


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Add a rule."""
    if not viewer.may("admin"):
        raise Http404
    if request.method == "POST" and (question := reauthenticate_first(request, viewer)) is not None:
        return question
    form = RuleForm.of(request, viewer)
    if form.is_valid():
        with form.refusals():
            actor, method = rule_wanted(form)
            approval_rule_add(
                principal=viewer,
                tenant=form.cleaned_data["tenant"],
                actor=actor,
                method=method,
                above=form.cleaned_data["above"],
                now=clock.now(),
            )
            notice_leave(request, _("Rule added."))
            return redirect("approvals")
    return form_render(
        request,
        viewer,
        "approvals/rule.html",
        form,
        title=_("Add an approval rule"),
        section="messages",
        tenants=tenants_of(viewer),
        is_operator=viewer.is_operator,
    )


@require_POST
@sign_in_required
def rule_act(request: HttpRequest, viewer: Principal, key: UUID, op: str) -> HttpResponse:
    """Request a rule's removal, agree to it, or refuse it."""
    rule = approval_rule_get(viewer, key)
    if op not in RULE_ACTS or not may_change(viewer, rule.tenant_id):
        raise Http404
    if (question := reauthenticate_first(request, viewer)) is not None:
        return question
    act, notice = RULE_ACTS[op]
    try:
        act(viewer, rule)
    except DomainError as refusal:
        return approvals_page(request, viewer, error=refusal_text(refusal))
    notice_leave(request, notice)
    return redirect("approvals")


RULE_ACTS: Final[dict[str, tuple[Callable[[Principal, ApprovalRule], object], StrOrPromise]]] = {
    "ask": (
        lambda viewer, rule: approval_rule_removal_request(principal=viewer, rule=rule, now=clock.now()),
        _("Removal requested. The rule holds until another person agrees."),
    ),
    "agree": (lambda viewer, rule: approval_rule_remove(principal=viewer, rule=rule), _("Rule removed.")),
    "keep": (
        lambda viewer, rule: approval_rule_removal_cancel(principal=viewer, rule=rule),
        _("The rule stays."),
    ),
}
"""What can be done about a rule's removal, and what the next page says of it."""

urlpatterns: Final = [
    path("approvals/", approvals, name="approvals"),
    path("approvals/rules/add/", rule_new, name="approval-rule-new"),
    path("approvals/rules/<uuid:key>/<str:op>/", rule_act, name="approval-rule-act"),
]
