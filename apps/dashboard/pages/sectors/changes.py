"""Ending proving sectors before their time, or extending them: what it costs first, then the second click."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client, page_client
from apps.chain.selectors.status import EpochClock
from apps.core.clock import now
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.dashboard.confirm_page import is_confirm_submitted
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.addresses import head_required
from apps.dashboard.pages.sectors.actions import sector_acted
from apps.dashboard.pages.sectors.change_form import ChangeForm, picked, request_of
from apps.dashboard.pages.sectors.change_plan import ROWS_SHOWN, plan_facts, rows_of
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.sector_changes import change_get
from apps.sectors.services.changes.plans import ChangePlan, changes_plan
from apps.sectors.services.changes.steps import CHANGES_MAX, change_cancel, changes_request
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline.changes import ChangeKind

KINDS: Final = {"terminate": ChangeKind.TERMINATE, "extend": ChangeKind.EXTEND}


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def change(request: HttpRequest, viewer: Principal, kind: str) -> HttpResponse:
    """Show what the change does and costs; ask for it after the second click.

    That click names the sectors of the review: others may begin to fit the filter until then.
    """
    if kind not in KINDS or not viewer.may("sign"):
        raise Http404
    form, data = ChangeForm(request.POST or request.GET), PageData(viewer)
    if not form.is_valid():
        return review(request, KINDS[kind], form, None, data, wrong="" if "days" in form.errors else form.why)
    is_confirmed = is_confirm_submitted(request) and form.has_ids
    if is_confirmed and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    plan, wrong = None, ""
    try:
        sectors, head = picked(form, viewer, data), head_required(data)
        if data.network is None:
            raise BadValue(_("no node has reported the network parameters yet"))
        wanted = request_of(KINDS[kind], form, clock_required(data))
        client = chain_client() if is_confirmed else page_client()
        if is_confirmed:
            typed_require(KINDS[kind], form)
            changes_request(
                sectors,
                request=wanted,
                by=viewer,
                client=client,
                head=head,
                network=data.network,
                now=now(),
                count=form.cleaned_data["count"],
            )
            one = sectors[0].uuid if len(sectors) == 1 else None
            return redirect("sector", one) if one else redirect(f"{reverse('sectors')}?state=changing")
        plan = changes_plan(sectors, request=wanted, client=client, head=head, network=data.network)
    except DomainError as refusal:
        wrong = refusal_text(refusal)
        plan = plan_again(form, KINDS[kind], viewer, data) if is_confirmed else None
        if refusal.field == "confirm" and plan is not None:
            form.add_error("confirm", wrong)
            wrong = ""
    return review(request, KINDS[kind], form, plan, data, wrong=wrong)


def clock_required(data: PageData) -> EpochClock:
    """Return the clock.  Raises NetworkUnknown."""
    if data.clock is None:
        raise NetworkUnknown(gettext("no node has answered yet"))
    return data.clock


def plan_again(form: ChangeForm, kind: ChangeKind, viewer: Principal, data: PageData) -> ChangePlan | None:
    """Return the price once more, below a refusal; None where that cannot be had either."""
    if data.network is None or data.head is None:
        return None
    try:
        wanted = request_of(kind, form, clock_required(data))
        sectors = picked(form, viewer, data)
        return changes_plan(
            sectors, request=wanted, client=page_client(), head=data.head, network=data.network
        )
    except DomainError:
        return None


def phrase_of(count: int) -> str:
    """Return what must be typed before sectors are terminated."""
    return _("terminate {count}").format(count=count)


def typed_require(kind: ChangeKind, form: ChangeForm) -> None:
    """Raise BadValue unless the phrase that names act and number was typed; extensions need none."""
    if kind is not ChangeKind.TERMINATE:
        return
    phrase = phrase_of(form.cleaned_data["count"])
    if form.cleaned_data["confirm"].strip().lower() != phrase:
        raise BadValue(gettext('type "{phrase}" to confirm').format(phrase=phrase), field="confirm")


def review(
    request: HttpRequest,
    kind: ChangeKind,
    form: ChangeForm,
    plan: ChangePlan | None,
    data: PageData,
    *,
    wrong: str,
) -> HttpResponse:
    """Render the price with the button."""
    ids = [] if plan is None else [str(one.sector.uuid) for one in plan.accepted]
    accepted = len(ids)
    is_end = kind is ChangeKind.TERMINATE
    verb = _("Terminate") if is_end else _("Extend")
    values = form.cleaned_data
    title = _("{verb} sectors").format(verb=verb)
    return page_render(
        request,
        "sectors/changes.html",
        title=title,
        section="sectors",
        data=data,
        status=422 if wrong or form.errors else 200,
        form=form,
        heading=f"{verb} {plural(accepted, 'sector')}" if accepted else title,
        verb=verb,
        is_end=is_end,
        wrong=wrong,
        plan=plan,
        accepted=accepted,
        refused=0 if plan is None else len(plan.refused),
        facts=[] if plan is None else list(plan_facts(plan, by=data.viewer)),
        rows=[] if plan is None else rows_of(plan.sectors, data.clock),
        more=0 if plan is None else max(len(plan.sectors) - ROWS_SHOWN, 0),
        can_send=bool(accepted) and plan is not None and not plan.trial_error,
        phrase=phrase_of(accepted),
        ids=ids,
        hidden_fields=form.selection_fields(),
        drop_claims=bool(values.get("drop_claims")),
        reason=values.get("reason", ""),
        expiration="" if plan is None else plan.request.expiration or "",
        limit=CHANGES_MAX,
    )


@require_POST
@sign_in_required
def cancel(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Withdraw a change whose message was not sent yet."""
    if not viewer.may("sign"):
        raise Http404
    row = change_get(viewer, str(key))
    return sector_acted(
        request,
        viewer,
        row.sector.uuid,
        lambda _sector: change_cancel(row, by=viewer, now=now()),
        level="sign",
    )


urlpatterns: Final = [
    path("sectors-change/<str:kind>/", change, name="sectors-change"),
    path("sector-changes/<uuid:key>/cancel/", cancel, name="sector-change-cancel"),
]
