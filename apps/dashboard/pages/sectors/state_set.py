"""Setting a failed sector's state by hand."""

from __future__ import annotations

import uuid
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core.clock import now
from apps.core.errors import BadValue
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.sectors.detail import sector_detail
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Choice, Text
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.sealing.steps import sector_state_set
from apps.sectors.states import ENDED_SECTORS
from apps.users.rules.principals import Principal
from poolsite.wire.pipeline import SECTOR_STATES


class StateForm(PageForm):
    """A state set by hand."""

    state = Choice([(state, state) for state in SECTOR_STATES if state not in ENDED_SECTORS])
    reason = Text()
    confirm = Text()


@sign_in_required
def state_set(request: HttpRequest, viewer: Principal, key: uuid.UUID) -> HttpResponse:
    """Set a sector's state, after the state was typed once more."""
    row = sector_get(viewer, str(key))
    if not viewer.may("sign") or row.state in ENDED_SECTORS:
        raise Http404
    form = StateForm.of(request)
    if request.method == "POST" and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            values = form.cleaned_data
            if values["confirm"].strip() != values["state"]:
                raise BadValue(
                    gettext("type {state} to confirm").format(state=values["state"]), field="confirm"
                )
            sector_state_set(row, state=values["state"], reason=values["reason"][:500], by=viewer, now=now())
            return redirect("sector", key)
    data = PageData(viewer)
    return form_render(
        request,
        viewer,
        "sectors/state_set.html",
        form,
        title=_("Set state"),
        section="sectors",
        data=data,
        sector=sector_detail(row, data),
        states=[state for state in SECTOR_STATES if state not in (*ENDED_SECTORS, row.state)],
    )


urlpatterns: Final = [
    path("sectors/<uuid:key>/state/", state_set, name="sector-state-set"),
]
