"""Scans of a store: begun, cancelled; what they found adopted, leftovers removed by their typed number."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.labels import StateLabel
from apps.dashboard.pages.storage.leftovers import LeftoversForm, review_render
from apps.dashboard.pages.storage.rows import bytes_text
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.store_scans import counts_text, findings_page, kinds_waiting, scan_get, scans_of
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.batches.context import sealing_context_now
from apps.sectors.services.stores.findings import (
    REMOVABLE,
    findings_adopt,
    findings_picked,
    leftovers_next,
    leftovers_plan,
    leftovers_remove,
)
from apps.sectors.services.stores.scans import scan_begin, scan_cancel
from apps.sectors.states import FindingKind, FindingState, ScanState

if TYPE_CHECKING:
    from uuid import UUID

    from apps.sectors.models import Store, StoreFinding, StoreScan
    from apps.sectors.services.stores.findings import Planned
    from apps.users.principals import Principal

FOUND_SHOWN: Final = 50
REFUSED_SHOWN: Final = 100
REASONS_SHOWN: Final = 3
SCANS: Final = {
    ScanState.RUNNING: StateLabel("run", _("scanning")),
    ScanState.DONE: StateLabel("ok", _("scanned")),
    ScanState.CANCELLED: StateLabel("idle", _("cancelled"), "close"),
    ScanState.FAILED: StateLabel("bad", _("failed")),
}
STATES: Final = {
    FindingState.FOUND: StateLabel("warn", _("found")),
    FindingState.CHECKING: StateLabel("run", _("comparing comm_r")),
    FindingState.ADOPTED: StateLabel("ok", _("adopted")),
    FindingState.REFUSED: StateLabel("bad", _("not adopted")),
    FindingState.DROPPED: StateLabel("warn", _("dropped")),
    FindingState.REMOVING: StateLabel("run", _("being removed")),
    FindingState.REMOVED: StateLabel("ok", _("removed")),
}
MISSING: Final = StateLabel("bad", _("missing"))
WORDS: Final = {
    FindingKind.ELSEWHERE: _("complete; listed in {store}"),
    FindingKind.MISSING: _("listed in this store, but missing or incomplete"),
    FindingKind.UNKNOWN: _("complete; unknown to the pool, or its sector has ended"),
    FindingKind.HALF: _("incomplete sector"),
    FindingKind.OTHER: _("not a sector"),
}


def finding_row(finding: StoreFinding) -> dict[str, object]:
    """Lay out one finding."""
    sector, kind = finding.sector, FindingKind(finding.kind)
    store = "" if sector is None else sector.store
    is_found = finding.state == FindingState.FOUND
    return {
        "name": finding.name if sector is None else f"{sector.miner} / {sector.number}",
        "href": "" if sector is None else reverse("sector", args=[sector.uuid]),
        "text": str(WORDS[kind]).format(store=store or _("no store")),
        "bytes": bytes_text(finding.size),
        "label": MISSING if kind == FindingKind.MISSING and is_found else STATES[FindingState(finding.state)],
        "error": finding.error,
    }


def scan_card(store: Store) -> dict[str, object]:
    """Lay out the newest scan of a store and what it found."""
    scan = scans_of(store).first()
    found = [] if scan is None else findings_page(store, limit=FOUND_SHOWN + 1)
    waiting = kinds_waiting(store) if found else set()
    runs = scan is not None and scan.state == ScanState.RUNNING
    return {
        "label": None if scan is None else SCANS[ScanState(scan.state)],
        "text": "" if scan is None else scan_text(scan),
        "error": "" if scan is None else scan.error,
        "at": None if scan is None else scan.updated_at,
        "cancel": reverse("store-scan-cancel", args=[store.uuid, scan.uuid]) if scan and runs else "",
        "rows": tuple(finding_row(one) for one in found[:FOUND_SHOWN]),
        "is_more": len(found) > FOUND_SHOWN,
        "may_adopt": FindingKind.ELSEWHERE in waiting,
        "may_remove": bool(waiting & {*REMOVABLE}),
    }


def scan_text(scan: StoreScan) -> str:
    """Return what a scan found, in words."""
    if scan.state != ScanState.DONE:
        return scan.worker.name
    known = say("{sectors} as listed").format(sectors=plural(scan.known, "sector"))
    text = ", ".join([known, *counts_text(scan.counts)])
    if not scan.redeclares:
        return text
    words = say("{text}; updating records") if scan.settled_at is None else say("{text}; records updated")
    return words.format(text=text)


@sign_in_required
def scan(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Order a host to list what lies in a store, after a confirmation."""
    store = store_get(viewer, str(key), now=now())
    if not viewer.may("sign"):
        raise Http404
    if is_confirm_submitted(request):
        try:
            scan_begin(store, now=now(), by=viewer)
        except DomainError as error:
            return _back(store, error.reason)
        return redirect("store", key)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=_("Scan {store}").format(store=store.name),
            text=_("A host lists the contents; differences from the records are shown. Nothing is changed."),
            label=_("Scan"),
            back=reverse("store", args=[key]),
            page=store.name,
            section="stores",
        ),
    )


@sign_in_required
def cancel(request: HttpRequest, viewer: Principal, key: UUID, scan: UUID) -> HttpResponse:
    """Cancel a scan, after a confirmation."""
    if not viewer.may("sign"):
        raise Http404
    store = store_get(viewer, str(key), now=now())
    row = scan_get(store, str(scan))
    if is_confirm_submitted(request):
        try:
            scan_cancel(row, now=now(), by=viewer)
        except DomainError as error:
            return _back(store, error.reason)
        return redirect("store", key)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=_("Cancel the scan of {store}").format(store=store.name),
            text=_("The findings of the previous scan are kept."),
            label=_("Cancel scan"),
            back=reverse("store", args=[key]),
            page=store.name,
            section="stores",
            facts=(("Host", row.worker.name),),
        ),
    )


def _back(store: Store, said: str) -> HttpResponse:
    return redirect(f"{reverse('store', args=[store.uuid])}?{urlencode({'said': said})}")


@sign_in_required
def adopt(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Adopt what can be of the sectors that were found here, after a confirmation."""
    if not viewer.may("sign"):
        raise Http404
    store = store_get(viewer, str(key), now=now())
    if is_confirm_submitted(request):
        try:
            plan = findings_adopt(store, uuids=None, now=now(), by=viewer)
        except DomainError as error:
            return _back(store, error.reason)
        return _back(store, _adopt_text(plan))
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=_("Adopt sectors found in {store}").format(store=store.name),
            text=_(
                "A host compares comm_r and sizes. Sectors that match are listed in this store from then on."
            ),
            label=_("Adopt"),
            back=reverse("store", args=[key]),
            page=store.name,
            section="stores",
        ),
    )


def _adopt_text(plan: list[Planned]) -> str:
    """Return how many sectors are compared, and why the others are not."""
    refused = Counter(one.refusal for one in plan if one.refusal)
    left = refused.total()
    words = say("A host compares the comm_r of {sectors}").format(sectors=plural(len(plan) - left, "sector"))
    if left:
        reasons = [reason for reason, _many in refused.most_common(REASONS_SHOWN)]
        words += say("; {count} not adopted: {reasons}").format(
            count=formatting.whole(left), reasons="; ".join(reasons)
        )
    return words


@sign_in_required
def leftovers(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show what gets free; order a host to remove it after the second click."""
    if not viewer.may("sign"):
        raise Http404
    store, form = store_get(viewer, str(key), now=now()), LeftoversForm(request.POST or request.GET)
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    plan: list[Planned] = []
    wrong = "" if form.is_valid() else str(form.why)
    try:
        if not wrong:
            ids, work = list(form.cleaned_data["id"]), sealing_context_now()
            if is_confirm_submitted(request):
                given = form.cleaned_data
                form.confirm_require()
                leftovers_remove(
                    store, uuids=ids, by=viewer, work=work, reason=given["reason"][:500], count=given["count"]
                )
                return redirect("store", key)
            plan = (
                leftovers_next(store, work=work)
                if not ids
                else leftovers_plan(findings_picked(store, ids), work=work)
            )
    except DomainError as refusal:
        wrong = refusal.reason
    return _review(request, viewer, store, form, plan, wrong=wrong)


def _review(
    request: HttpRequest,
    viewer: Principal,
    store: Store,
    form: LeftoversForm,
    plan: list[Planned],
    *,
    wrong: str,
) -> HttpResponse:
    accepted = [one.finding for one in plan if not one.refusal]
    refused = [one for one in plan if one.refusal]
    return review_render(
        request,
        viewer,
        form,
        sizes={str(one.uuid): one.size for one in accepted},
        wrong=wrong,
        section="stores",
        places=_("Storage"),
        place=store.name,
        back=reverse("store", args=[store.uuid]),
        verdict=say(
            "A host removes them from {name} only. Sectors on chain or being sealed are kept, except second "
            "copies whose main copy was checked and is good. Removed files cannot be recovered."
        ).format(name=store.name),
        rows=[finding_row(one) | {"refusal": ""} for one in accepted]
        + [finding_row(one.finding) | {"refusal": one.refusal} for one in refused[:REFUSED_SHOWN]],
    )


urlpatterns: Final = [
    path("storage/<uuid:key>/scan/", scan, name="store-scan"),
    path("storage/<uuid:key>/scan/<uuid:scan>/cancel/", cancel, name="store-scan-cancel"),
    path("storage/<uuid:key>/adopt/", adopt, name="store-adopt"),
    path("storage/<uuid:key>/leftovers/", leftovers, name="store-leftovers"),
]
