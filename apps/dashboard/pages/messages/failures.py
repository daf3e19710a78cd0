"""Messages that need somebody, by what went wrong, with one act for all that it can help."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.checks.findings.message_costs import MessagesCost, groups_priced
from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import clauses_text, colon_text, list_text
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import AddressNames, PageData
from apps.dashboard.pages.messages.detail import CLICKS, HEADLINE_ACTS
from apps.dashboard.pages.messages.diagnosis_checks import visible_policy_href
from apps.dashboard.pages.messages.rows import message_why
from apps.dashboard.sessions import sign_in_required
from apps.messages.rules.methods import method_text
from apps.messages.selectors.alike import (
    FAILED,
    GROUPED_MAX,
    REFUSED,
    REPLACED,
    STUCK,
    MessageGroup,
    messages_grouped,
)
from apps.messages.selectors.remedies import DOES
from apps.messages.selectors.stuck import STUCK_IN_FLIGHT
from apps.messages.services.bulk import BULK_STATES
from apps.messages.states import Wait
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallets_visible

GROUPS_SHOWN: Final = 40
SENDERS_SHOWN: Final = 4
VIEW_TEXTS: Final = {
    STUCK: _("Stuck"),
    REPLACED: _("Nonce used by another message"),
    REFUSED: _("Landed, failed"),
    FAILED: _("Failed"),
}
ACT_LABELS: Final = {
    "retry-now": (_("Retry {messages}…"), "primary"),
    "replace": (_("Raise fees of {messages}…"), "primary"),
    "republish": (_("Publish {messages} again…"), ""),
    "mark-bad": (_("Mark {messages} as failed…"), "danger"),
}
"""The doctor's actions that a whole group takes in one review."""


def group_row(
    group: MessageGroup,
    cost: MessagesCost | None,
    names: AddressNames,
    *,
    viewer: Principal,
    policies: Collection[str],
) -> dict[str, object]:
    """Lay out one group."""
    newest, messages = group.newest, plural(group.count, "message")
    method = method_text(newest.to, newest.method, kind=newest.kind, miners=names.miners)
    text = group.diagnosis.text if group.view == STUCK else message_why(newest)[0]
    query = urlencode({"state": group.view, "cause": group.key})
    senders = [names.wallets.get(one) or formatting.shortened(one) for one in group.senders[:SENDERS_SHOWN]]
    return {
        "key": group.key,
        "heading": colon_text(VIEW_TEXTS[group.view], list_text((method, messages))),
        "text": capfirst(text),
        "helps": clauses_text(
            [colon_text(CLICKS[one], str(DOES[one])) for one in group.diagnosis.actions if one in DOES]
        ),
        "next": capfirst(group.diagnosis.by_itself),
        "tenants": list_text(group.tenants),
        "senders": list_text(senders),
        "more": max(len(group.senders) - SENDERS_SHOWN, 0),
        "per_day": "" if cost is None else formatting.amount_text(cost.per_day),
        "since": group.since,
        "last": group.last,
        "count": group.count,
        "href": f"{reverse('messages')}?{query}",
        "one": reverse("message", args=[newest.pk]),
        "acts": group_acts(group, query, messages=messages, viewer=viewer, policies=policies)
        if viewer.may("sign")
        else [],
    }


def group_acts(
    group: MessageGroup, query: str, *, messages: str, viewer: Principal, policies: Collection[str]
) -> list[tuple[str, str, str]]:
    """Return address, label and kind of what helps all of a group; nothing that cannot."""
    found = mends(group, viewer=viewer, policies=policies)
    if group.view != STUCK:
        return found
    return found + [
        (
            f"{reverse('messages-bulk', args=[action])}?{query}",
            str(ACT_LABELS[action][0]).format(messages=messages),
            "" if found and ACT_LABELS[action][1] == "primary" else ACT_LABELS[action][1],
        )
        for action in group.diagnosis.actions
        if action in ACT_LABELS and group.newest.state in BULK_STATES[action] and _fits(action, group)
    ]


def mends(group: MessageGroup, *, viewer: Principal, policies: Collection[str]) -> list[tuple[str, str, str]]:
    """Return the pages that end the cause: of one sender, or of the only message."""
    newest, actions = group.newest, group.diagnosis.actions
    if group.count == 1:
        pages = [HEADLINE_ACTS[action] for action in actions if action in HEADLINE_ACTS]
        if pages:
            label, page = pages[0]
            return [(reverse(page, args=[newest.pk]), str(label), "primary")]
    if len(group.senders) > 1:
        return []
    if "policy" in actions and newest.from_addr in policies:
        label = (
            gettext("Change the rule…")
            if group.diagnosis.refusal.rule
            else gettext("Open the signing policy")
        )
        return [(visible_policy_href(group.diagnosis, newest, viewer), label, "primary")]
    if group.diagnosis.reason == Wait.EARLIER_NONCE:
        return [(reverse("sender", args=[newest.from_addr]), gettext("Show the sender"), "primary")]
    if "fund" in actions:
        query = urlencode({"to": newest.from_addr})
        return [(f"{reverse('message-compose')}?{query}", gettext("Send FIL…"), "primary")]
    return []


def policies_of(groups: Iterable[MessageGroup], viewer: Principal) -> set[str]:
    """Return the senders of the groups whose signing policies may mend them, and the viewer may see."""
    senders = [str(one.newest.from_addr) for one in groups if "policy" in one.diagnosis.actions]
    if not senders:
        return set()
    return set(wallets_visible(viewer).filter(address__in=senders).values_list("address", flat=True))


def _fits(action: str, group: MessageGroup) -> bool:
    """Return whether an action is for each of a group: where one message holds up the others, no raise is."""
    return action != "replace" or group.newest.wait in STUCK_IN_FLIGHT


@require_safe
@sign_in_required
def failures(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the groups."""
    data = PageData(viewer)
    groups = groups_priced(data, messages_grouped(viewer, head=data.head, network=data.network))
    shown = groups[:GROUPS_SHOWN]
    policies = policies_of([group for group, _cost in shown], viewer)
    rows = [group_row(group, cost, data.names, viewer=viewer, policies=policies) for group, cost in shown]
    total = sum(group.count for group, _cost in groups)
    return page_render(
        request,
        "messages/failures.html",
        title=_("Failures"),
        section="messages",
        data=data,
        groups=rows,
        intro=gettext("{messages}; causes: {count}").format(
            messages=plural(total, "message"), count=formatting.whole(len(groups))
        )
        if groups
        else "",
        is_cut=len(groups) > GROUPS_SHOWN or total >= GROUPED_MAX,
        has_tenants=viewer.is_operator,
    )


urlpatterns: Final = [path("message-failures/", failures, name="messages-failures")]
