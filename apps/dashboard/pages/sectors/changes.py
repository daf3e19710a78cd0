"""Ending proving sectors before their time, or extending them: what it costs first, then the second click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.chain.client import chain_client
from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.dashboard.confirm_page import is_confirm_submitted
from apps.dashboard.forms import PageForm, Text, Ticks, Whole
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.addresses import head_required
from apps.dashboard.pages.sectors.listing import filtered
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors import change_get, sectors_ending, sectors_picked, sectors_visible
from apps.sectors.services.change_plans import ChangeRequest, changes_plan
from apps.sectors.services.changes import CHANGES_MAX, change_cancel, changes_request
from poolsite.filecoin.pledge import EPOCHS_IN_DAY
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import ChangeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apps.sectors.models import Sector
    from apps.sectors.services.change_plans import ChangePlan, SectorPrice
    from apps.users.principals import Principal

KINDS: Final = {"terminate": ChangeKind.TERMINATE, "extend": ChangeKind.EXTEND}
ROWS_SHOWN: Final = 100
"""Sectors that are listed with their price; the sums are of all."""


class ChangeForm(PageForm):
    """Which sectors, and what becomes of them."""

    id = Ticks()
    all = Text()
    """Set: not the ids, but all that fit the filter below."""
    state = Text()
    q = Text()
    miner = Text()
    ends_from = Whole()
    ends_to = Whole()
    days = Whole()
    """Of an extension: from now on; 0: as long as the chain takes."""
    expiration = Whole()
    """Of an extension that was reviewed: the epoch."""
    drop_claims = Text()
    reason = Text()
    count = Whole()
    """For how many sectors the price was shown."""
    typed = Text()

    def kept(self) -> list[tuple[str, str]]:
        """Return what names the sectors, for the next click."""
        given = self.cleaned_data
        if given["id"] and not given["all"]:
            return [("id", one) for one in given["id"]]
        names = ("all", "state", "q", "miner", "ends_from", "ends_to")
        return [(name, str(given[name])) for name in names if given[name]]


def picked(form: ChangeForm, viewer: Principal, data: PageData) -> list[Sector]:
    """Return the sectors that are meant.  Raises BadValue for too many, SectorUnknown."""
    given = form.cleaned_data
    if given["id"] and not given["all"]:
        if len(given["id"]) > CHANGES_MAX:
            raise BadValue(f"at most {CHANGES_MAX} sectors at a time", field="id")
        return sectors_picked(viewer, given["id"])
    if given["ends_to"]:
        rows = sectors_ending(viewer, miner=given["miner"], start=given["ends_from"], stop=given["ends_to"])
    elif given["all"]:
        rows = filtered(sectors_visible(viewer), state=given["state"], q=given["q"], data=data)
        rows = rows.filter(state=SectorState.PROVING)
    else:
        rows = sectors_visible(viewer).none()
    return list(rows[:CHANGES_MAX])


def request_of(kind: ChangeKind, form: ChangeForm, *, height: int) -> ChangeRequest:
    """Read what is to become of them."""
    given = form.cleaned_data
    if kind is ChangeKind.TERMINATE:
        return ChangeRequest(kind=kind, reason=given["reason"][:500])
    wanted = given["expiration"] or (height + given["days"] * EPOCHS_IN_DAY if given["days"] else None)
    return ChangeRequest(
        kind=kind, expiration=wanted, drops_claims=bool(given["drop_claims"]), reason=given["reason"][:500]
    )


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def change(request: HttpRequest, viewer: Principal, kind: str) -> HttpResponse:
    """Show what the change does and costs; ask for it after the second click."""
    if kind not in KINDS or not viewer.may("sign"):
        raise Http404
    form, data = ChangeForm(request.POST or request.GET), PageData(viewer)
    if not form.is_valid():
        return review(request, KINDS[kind], form, None, data, wrong=form.why)
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    plan, wrong = None, ""
    try:
        sectors, head = picked(form, viewer, data), head_required(data)
        if data.network is None:
            raise BadValue(_("no node has told the network's rules yet"))
        wanted = request_of(KINDS[kind], form, height=head.height)
        client = chain_client()
        if is_confirm_submitted(request):
            typed_require(KINDS[kind], form)
            changes_request(
                sectors,
                wanted,
                by=viewer,
                client=client,
                head=head,
                network=data.network,
                now=now(),
                count=form.cleaned_data["count"],
            )
            one = sectors[0].uuid if len(sectors) == 1 else None
            return redirect("sector", one) if one else redirect(f"{reverse('sectors')}?state=changing")
        plan = changes_plan(sectors, wanted, client=client, head=head, network=data.network)
    except DomainError as refusal:
        wrong = refusal.reason
        plan = plan_again(form, KINDS[kind], viewer, data) if is_confirm_submitted(request) else None
    return review(request, KINDS[kind], form, plan, data, wrong=wrong)


def plan_again(form: ChangeForm, kind: ChangeKind, viewer: Principal, data: PageData) -> ChangePlan | None:
    """Return the price once more, below a refusal; None where that cannot be had either."""
    if data.network is None or data.head is None:
        return None
    try:
        wanted = request_of(kind, form, height=data.head.height)
        sectors = picked(form, viewer, data)
        return changes_plan(sectors, wanted, client=chain_client(), head=data.head, network=data.network)
    except DomainError:
        return None


def phrase_of(count: int) -> str:
    """What must be typed before sectors are terminated."""
    return f"terminate {count}"


def typed_require(kind: ChangeKind, form: ChangeForm) -> None:
    """Raise BadValue unless the phrase that names act and number was typed; extensions need none."""
    if kind is not ChangeKind.TERMINATE:
        return
    phrase = phrase_of(form.cleaned_data["count"])
    if form.cleaned_data["typed"].strip().lower() != phrase:
        raise BadValue(f'type "{phrase}" to confirm', field="typed")


def plan_facts(plan: ChangePlan) -> Iterable[tuple[str, str]]:
    """What it does and costs, in all."""
    is_end = plan.request.kind is ChangeKind.TERMINATE
    if is_end:
        yield _("Termination fee"), f"{formatting.fil(plan.fee)} FIL"
    if plan.gas_expected is None or plan.gas_max is None:
        yield _("Gas"), plan.trial_error or _("known once a deadline takes changes")
    else:
        most = formatting.fil(plan.gas_max)
        yield _("Gas"), f"{formatting.fil(plan.gas_expected)} FIL expected, at most {most} FIL"
    if plan.burnt is not None:
        yield _("Gone for good"), f"{formatting.fil(plan.burnt)} FIL"
    if is_end:
        yield _("Pledge released"), f"{formatting.fil(plan.pledge)} FIL"
    else:
        yield _("Daily fee"), f"{'+' if plan.daily_fee_change >= 0 else '-'}{per_day(plan.daily_fee_change)}"
    change = plan.power_change
    size = " ".join(formatting.size(abs(change)))
    yield _("Power"), _("unchanged") if not change else f"{'+' if change > 0 else '-'}{size}"
    yield _("Messages"), formatting.whole(plan.messages)
    if plan.sends_at > plan.height:
        yield _("Sent"), f"from now on, the last at epoch {formatting.whole(plan.sends_at)}"


def per_day(change: int) -> str:
    """Return an amount for each day."""
    return f"{formatting.fil(abs(change))} FIL a day"


def rows_of(prices: Sequence[SectorPrice], plan: ChangePlan) -> list[dict[str, str]]:
    """Lay out the sectors with their price, refused ones first."""
    ordered = sorted(prices, key=lambda one: not one.refusal)[:ROWS_SHOWN]
    return [
        {
            "name": f"{one.sector.miner.address} / {one.sector.number}",
            "href": reverse("sector", args=[one.sector.uuid]),
            "ends": "–" if one.live is None else in_days(one.live.expiration - plan.height),
            "new": "" if one.after is None else in_days(one.after.expiration - plan.height),
            "epoch": "" if one.after is None else formatting.whole(one.after.expiration),
            "fee": f"{formatting.fil(one.fee)} FIL" if one.fee else "",
            "dropped": "" if one.after is None else ", ".join(map(str, one.after.dropped)),
            "refusal": one.refusal,
        }
        for one in ordered
    ]


def in_days(epochs: int) -> str:
    """Return a number of epochs as days, as the chain counts them."""
    return f"{epochs / EPOCHS_IN_DAY:.1f} d"


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
    accepted = 0 if plan is None else len(plan.accepted)
    is_end = kind is ChangeKind.TERMINATE
    verb = _("Terminate") if is_end else _("Extend")
    is_read = form.is_valid()
    given = form.cleaned_data if is_read else {}
    return page_render(
        request,
        "sectors/changes.html",
        title=f"{verb} sectors",
        section="sectors",
        data=data,
        status=422 if wrong else 200,
        heading=f"{verb} {plural(accepted, 'sector')}",
        verb=verb,
        is_end=is_end,
        wrong=wrong,
        plan=plan,
        accepted=accepted,
        refused=0 if plan is None else len(plan.refused),
        facts=[] if plan is None else list(plan_facts(plan)),
        rows=[] if plan is None else rows_of(plan.sectors, plan),
        more=0 if plan is None else max(len(plan.sectors) - ROWS_SHOWN, 0),
        can_send=bool(accepted) and plan is not None and not plan.trial_error,
        phrase=phrase_of(accepted),
        kept=form.kept() if is_read else [],
        days=given.get("days") or "",
        drop_claims=bool(given.get("drop_claims")),
        reason=given.get("reason", ""),
        expiration="" if plan is None else plan.request.expiration or "",
        limit=CHANGES_MAX,
    )


@require_POST
@sign_in_required
def cancel(request: HttpRequest, viewer: Principal, key: str) -> HttpResponse:
    """Withdraw a change whose message was not sent yet."""
    if not viewer.may("sign"):
        raise Http404
    row = change_get(viewer, key)
    wrong = ""
    try:
        change_cancel(row, by=viewer, now=now())
    except DomainError as refusal:
        wrong = refusal.reason
    here = reverse("sector", args=[row.sector.uuid])
    if not getattr(request, "htmx", False):
        return redirect(here)
    return HttpResponse(wrong, status=422) if wrong else HttpResponse(headers={"HX-Redirect": here})


urlpatterns: Final = [
    path("sectors-change/<str:kind>/", change, name="sectors-change"),
    path("sector-changes/<uuid:key>/cancel/", cancel, name="sector-change-cancel"),
]
