"""Checks of files: begun for a store or a sector, shown as they go, cancelled."""

from __future__ import annotations

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
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.labels import StateLabel
from apps.dashboard.number_fields import Size
from apps.dashboard.pages.storage.rows import CheckedCell, bytes_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.selectors.store_checks import (
    FILE_WORDS,
    bad_files_text,
    check_get,
    checks_of,
    checks_wait,
    copies_bad_of,
    copies_of,
    copies_page,
)
from apps.sectors.selectors.stores import store_get, stores_visible
from apps.sectors.services.stores.checks import PACE, check_begin, check_cancel
from apps.sectors.states import CopyCondition, StoreCheckState
from poolsite.wire.store_checks import FileState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from apps.sectors.models import Sector, SectorCopy, Store, StoreCheck
    from apps.sectors.selectors.store_checks import StoreChecked
    from apps.users.principals import Principal

CHECKS_SHOWN: Final = 10
BAD_SHOWN: Final = 50
STATES: Final = {
    StoreCheckState.RUNNING: StateLabel("run", _("running")),
    StoreCheckState.DONE: StateLabel("ok", _("done")),
    StoreCheckState.CANCELLED: StateLabel("idle", _("cancelled"), "close"),
    StoreCheckState.FAILED: StateLabel("bad", _("failed")),
}
DIFFER: Final = StateLabel("bad", _("bad files"))
UNREAD: Final = StateLabel("warn", _("not all read"))
WAITS: Final = StateLabel("wait", _("waiting"))
CONDITIONS: Final = {
    CopyCondition.UNREAD: StateLabel("warn", _("not read")),
    CopyCondition.NOTED: StateLabel("ok", _("checksums recorded")),
    CopyCondition.GOOD: StateLabel("ok", _("checksums match")),
    CopyCondition.BAD: StateLabel("bad", _("damaged")),
}


def check_label(check: StoreCheck, wait: str) -> StateLabel:
    """Return where a check is, and what came of one that is done."""
    if check.state == StoreCheckState.DONE and (check.bad or check.unread):
        return DIFFER if check.bad else UNREAD
    return WAITS if wait else STATES[StoreCheckState(check.state)]


def check_row(check: StoreCheck, wait: str) -> dict[str, object]:
    """Lay out one check."""
    of = check.sector
    words = [
        say("{done} of {sectors}").format(
            done=formatting.whole(check.done),
            sectors=formatting.plural(max(check.total, check.done), "sector"),
        ),
        bytes_text(check.read_bytes),
    ]
    if check.bad:
        words.append(say("{bad} with bad files").format(bad=formatting.whole(check.bad)))
    if check.unread:
        words.append(say("{unread} not read").format(unread=formatting.whole(check.unread)))
    return {
        "name": "all sectors" if of is None else f"{of.miner} / {of.number}",
        "label": check_label(check, wait),
        "wait": wait,
        "read": ", ".join(words),
        "host": say("{worker}, at most {bytes_s} a second").format(
            worker=check.worker.name, bytes_s=bytes_text(check.bytes_s)
        ),
        "error": check.error,
        "at": check.updated_at,
        "is_bad": bool(check.bad),
        "cancel": reverse("store-check-cancel", args=[check.store.uuid, check.uuid])
        if check.state == StoreCheckState.RUNNING
        else "",
    }


def checked_cell(told: StoreChecked) -> CheckedCell:
    """Lay out what checks say of a store as a whole."""
    running = told.running
    label, text = None, ""
    if running is not None:
        label = check_label(running, told.wait)
        of = formatting.plural(max(running.total, running.done), "sector")
        done = formatting.whole(running.done)
        text = told.wait or say("{done} of {sectors} checked").format(done=done, sectors=of)
    bad = StateLabel("bad", _("{count} bad").format(count=told.text)) if told.bad else None
    return CheckedCell(bad, label, text, told.done_at)


def check_rows(store: Store, *, at: datetime) -> tuple[dict[str, object], ...]:
    """Lay out the newest checks of a store."""
    checks = list(checks_of(store)[:CHECKS_SHOWN])
    waits = checks_wait(checks, now=at)
    return tuple(check_row(check, waits[check.pk]) for check in checks)


def bad_rows(store: Store) -> tuple[tuple[dict[str, object], ...], str]:
    """Lay out the first sectors in a store whose files are damaged, and count all."""
    bad = copies_bad_of([store]).get(store.pk)
    if bad is None:
        return (), ""
    return tuple(
        {
            "name": f"{row.sector.miner} / {row.sector.number}",
            "href": reverse("sector", args=[row.sector.uuid]),
            "text": bad_files_text(row),
            "at": row.checked_at,
        }
        for row in copies_page(store, condition=CopyCondition.BAD, limit=BAD_SHOWN)
    ), bad.text


def copy_row(copy: SectorCopy) -> dict[str, object]:
    """Lay out a sector's files in one store."""
    bad = [f"{one['name']} {FILE_WORDS[FileState(one['state'])]}" for one in copy.files]
    return {
        "store": copy.store.name,
        "href": reverse("store", args=[copy.store.uuid]),
        "is_counted": copy.sector.store == copy.store.name,
        "label": CONDITIONS[CopyCondition(copy.condition)],
        "files": [*bad, *filter(None, [copy.reason])],
        "count": f"{formatting.plural(copy.file_count, 'file')}, {bytes_text(copy.size)}",
        "at": copy.checked_at or copy.found_at,
    }


def copy_rows(sector: Sector) -> tuple[dict[str, object], ...]:
    """Lay out what is known of a sector's files, by store."""
    return tuple(copy_row(copy) for copy in copies_of(sector))


class CheckForm(PageForm):
    """How fast."""

    bytes_s = Size(initial=PACE)


@sign_in_required
def check(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Begin to check the files of all sectors in a store."""
    store = store_get(viewer, str(key), now=now())
    if not viewer.may("sign"):
        raise Http404
    form = CheckForm.of(request)
    if form.is_valid():
        with form.refusals():
            check_begin(store, bytes_s=form.cleaned_data["bytes_s"], now=now(), by=viewer)
            return redirect("store", key)
    return form_render(
        request,
        viewer,
        "storage/check.html",
        form,
        title=_("Check files"),
        section="stores",
        store=store,
    )


@sign_in_required
def cancel(request: HttpRequest, viewer: Principal, key: UUID, check: UUID) -> HttpResponse:
    """Cancel a check, after a confirmation."""
    if not viewer.may("sign"):
        raise Http404
    store = store_get(viewer, str(key), now=now())
    row, back = check_get(store, str(check)), reverse("store", args=[key])
    if is_confirm_submitted(request):
        try:
            check_cancel(row, now=now(), by=viewer)
        except DomainError as error:
            return redirect(f"{back}?{urlencode({'said': error.reason})}")
        return redirect(back)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=_("Cancel the check of {store}").format(store=store.name),
            text=_("Results so far are kept."),
            label=_("Cancel check"),
            back=back,
            page=store.name,
            section="stores",
            facts=(
                (
                    "Read",
                    say("{done} of {sectors}").format(
                        done=formatting.whole(row.done), sectors=formatting.plural(row.total, "sector")
                    ),
                ),
            ),
        ),
    )


@sign_in_required
def sector_check(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Check one sector's files in each store that has it, after a confirmation."""
    if not viewer.may("sign"):
        raise Http404
    sector, back = sector_get(viewer, str(key)), reverse("sector", args=[key])
    stores = list(stores_with(sector, viewer))
    if is_confirm_submitted(request):
        for store in stores:
            try:
                check_begin(store, sector=sector, now=now(), by=viewer)
            except DomainError as error:
                said = urlencode({"said": error.reason})
                return redirect(f"{reverse('store', args=[store.uuid])}?{said}")
        return redirect(back)
    names = ", ".join(store.name for store in stores) or _("none: the location of its files is unknown")
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=_("Check the files of sector {number}").format(number=sector.number),
            text=_("A host reads the files and compares their checksums with the recorded ones."),
            label=_("Check files"),
            back=back,
            page=str(sector.number),
            section="sectors",
            facts=(("Stores", str(names)),),
        ),
    )


def stores_with(sector: Sector, viewer: Principal) -> Iterable[Store]:
    """Return the stores that have a sector's files."""
    names = {sector.store, *(copy.store.name for copy in copies_of(sector))} - {""}
    return stores_visible(viewer, now=now()).filter(tenant=sector.tenant_id, name__in=names)


urlpatterns: Final = [
    path("storage/<uuid:key>/check/", check, name="store-check"),
    path("storage/<uuid:key>/check/<uuid:check>/cancel/", cancel, name="store-check-cancel"),
    path("sectors/<uuid:key>/check-files/", sector_check, name="sector-check-files"),
]
