"""Scans of a store: begun, cancelled, and what they found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.clock import now
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import colon_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.labels import StateLabel
from apps.dashboard.notices import notice_leave
from apps.dashboard.pages.storage.rows import bytes_text
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.store_scans import counts_list, findings_page, kinds_waiting, scan_get, scans_of
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.leftover_removals import (
    REMOVABLE,
)
from apps.sectors.services.stores.scans import scan_begin, scan_cancel
from apps.sectors.states import FindingKind, FindingState, ScanState
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Store, StoreFinding, StoreScan

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
KIND_TEXTS: Final = {
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
        "text": _finding_text(finding, store=store),
        "bytes": bytes_text(finding.size),
        "label": MISSING if kind == FindingKind.MISSING and is_found else STATES[FindingState(finding.state)],
        "error": shown_text(finding.error),
    }


def _finding_text(finding: StoreFinding, *, store: str) -> str:
    text = str(KIND_TEXTS[FindingKind(finding.kind)]).format(store=store or _("no store"))
    return colon_text(text, list_text(finding.kinds.split())) if finding.kinds else text


def scan_card(store: Store) -> dict[str, object]:
    """Lay out the newest scan of a store and what it found."""
    scan = scans_of(store).first()
    found = [] if scan is None else findings_page(store, limit=FOUND_SHOWN + 1)
    waiting = kinds_waiting(store) if found else set()
    runs = scan is not None and scan.state == ScanState.RUNNING
    return {
        "label": None if scan is None else SCANS[ScanState(scan.state)],
        "text": "" if scan is None else scan_text(scan),
        "error": "" if scan is None else shown_text(scan.error),
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
    known = gettext("{sectors} as listed").format(sectors=plural(scan.known, "sector"))
    text = list_text([known, *map(shown_text, counts_list(scan.counts))])
    if not scan.redeclares:
        return text
    pattern = (
        gettext("{text}; updating records") if scan.settled_at is None else gettext("{text}; records updated")
    )
    return pattern.format(text=text)


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
            notice_leave(request, refusal_text(error), tone="warn")
        return redirect("store", key)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            is_danger=False,
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
            notice_leave(request, refusal_text(error), tone="warn")
        return redirect("store", key)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            is_danger=False,
            title=_("Cancel the scan of {store}").format(store=store.name),
            text=_("The findings of the previous scan are kept."),
            label=_("Cancel scan"),
            back=reverse("store", args=[key]),
            page=store.name,
            section="stores",
            facts=((gettext("Host"), row.worker.name),),
        ),
    )


urlpatterns: Final = [
    path("storage/<uuid:key>/scan/", scan, name="store-scan"),
    path("storage/<uuid:key>/scan/<uuid:scan>/cancel/", cancel, name="store-scan-cancel"),
]
