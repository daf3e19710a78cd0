"""A host's drives for layers, begun anew: what that loses, and its number typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext

from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.dashboard.confirm_page import is_confirm_submitted
from apps.dashboard.forms import PageForm
from apps.dashboard.layout import page_render
from apps.dashboard.number_fields import Integer
from apps.dashboard.page_data import PageData
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.services.hosts.drives import LostLayers, drives_reset, drives_reset_plan
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.sectors.models import Sector


class DrivesForm(PageForm):
    """Confirmation of a reset: the number of sectors on the page, and the phrase that was typed."""

    reason = Text()
    count = Integer()
    confirm = Text()

    def confirm_require(self) -> None:
        """Raise BadValue unless it was typed how many may lose their layers."""
        phrase = _phrase(self.cleaned_data["count"])
        if self.cleaned_data["confirm"].strip().lower() != phrase:
            raise BadValue(gettext('type "{phrase}" to confirm').format(phrase=phrase), field="confirm")


def _phrase(count: int) -> str:
    return gettext("reset {count}").format(count=count)


def sector_row(sector: Sector, text: str) -> dict[str, str]:
    """Lay out a sector that may lose its layers."""
    return {
        "name": f"{sector.miner} / {sector.number}",
        "href": reverse("sector", args=[sector.uuid]),
        "text": text,
    }


@sign_in_required
def drives(request: HttpRequest, viewer: Principal, key: UUID) -> HttpResponse:
    """Show which sectors lose layers; order the reset once that is confirmed."""
    if not viewer.may("sign"):
        raise Http404
    worker, form = worker_get(viewer, str(key)), DrivesForm(request.POST or request.GET)
    if is_confirm_submitted(request) and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    lost, now, wrong = None, clock.now(), "" if form.is_valid() else str(form.why)
    try:
        if not wrong and is_confirm_submitted(request):
            form.confirm_require()
            values = form.cleaned_data
            drives_reset(worker, by=viewer, now=now, count=values["count"], reason=values["reason"][:500])
            return redirect("host", key)
    except DomainError as refusal:
        wrong = refusal_text(refusal)
    try:
        lost = drives_reset_plan(worker, now=now)
    except DomainError as refusal:
        wrong = wrong or refusal_text(refusal)
    return page_render(
        request,
        "hosts/drives.html",
        title=gettext("Reset drives"),
        section="hosts",
        page_key="",
        data=PageData(viewer),
        status=422 if wrong and request.method == "POST" else 200,
        worker=worker,
        wrong=wrong,
        reason=form.data.get("reason", "")[:500],
        **({} if lost is None else _review(lost)),
    )


def _review(lost: LostLayers) -> dict[str, Any]:
    again = gettext("in PC1: begins it anew by itself")
    back = gettext("labelled: send it back to PC1, as C1 will lack its layers")
    return {
        "may_reset": True,
        "count": lost.count,
        "affected": plural(lost.count, "sector"),
        "phrase": _phrase(lost.count),
        "rows": [
            *(sector_row(one, again) for one in lost.labelling),
            *(sector_row(one, back) for one in lost.labelled),
        ],
    }


urlpatterns: Final = [path("hosts/<uuid:key>/drives/", drives, name="host-drives")]
