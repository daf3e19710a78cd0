"""Remove a miner that was imported by mistake, or could not be made."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.miners.selectors.miners import miner_get
from apps.miners.services.remove import may_remove, miner_remove
from apps.miners.states import MinerState
from apps.users.rules.principals import Principal

IMPORTED: Final = _(
    "The pool no longer shows or proves it. Nothing changes on chain; it can be imported again."
)
NEVER_MADE: Final = _(
    "It was never created. Its message and its cost stay on record. If the chain has the miner "
    "after all, import it by its address."
)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def remove(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Remove a miner that was imported by mistake, or could not be made, after a confirmation."""
    row = miner_get(viewer, address)
    if not may_remove(viewer, miner=row):
        raise Http404
    if is_confirm_submitted(request):
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        miner_remove(row, principal=viewer)
        return redirect("miners")
    ask = ConfirmPage(
        title=gettext("Remove {name} {address}").format(name=row.name, address=row.address).strip(),
        text=(NEVER_MADE if row.state == MinerState.FAILED else IMPORTED),
        label=_("Remove"),
        back=reverse("miner", args=[row.address or row.uuid]),
        page=row.name or row.address or gettext("new miner"),
        section="miners",
    )
    return confirm_page_render(request, viewer, ask)


urlpatterns: Final = [
    path("miners/<str:address>/remove/", remove, name="miner-remove"),
]
