"""Detach a store from a host."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.clock import now
from apps.core.errors import DomainError
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.notices import notice_leave
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.sectors.selectors.stores import attachment_get, store_get
from apps.sectors.services.stores.orders import detach_refusal_explain, store_detach
from apps.users.rules.principals import Principal


@sign_in_required
def detach(request: HttpRequest, viewer: Principal, key: UUID, host: UUID) -> HttpResponse:
    """Detach a store from a host, after a confirmation."""
    row = store_get(viewer, str(key), now=now())
    if not viewer.may("sign"):
        raise Http404
    attachment, back = attachment_get(row, str(host)), reverse("store", args=[key])
    refusal = detach_refusal_explain(attachment, now=now())
    if is_confirm_submitted(request):
        try:
            store_detach(attachment, now=now(), by=viewer)
        except DomainError as error:
            notice_leave(request, refusal_text(error), tone="warn")
            return redirect(back)
        notice_leave(request, _("The host detaches it at its next heartbeat."), tone="run")
        return redirect(back)
    if refusal:
        notice_leave(request, refusal, tone="warn")
        return redirect(back)
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=gettext("Detach {store} from {worker}").format(
                store=row.name, worker=attachment.worker.name
            ),
            text=_("Its files stay where they are; the host no longer reads or writes them."),
            label=_("Detach"),
            back=back,
            page=row.name,
            section="stores",
            facts=((gettext("Path"), attachment.path), (gettext("Sectors"), formatting.whole(row.sectors))),
        ),
    )


urlpatterns: Final = [
    path("storage/<uuid:key>/detach/<uuid:host>/", detach, name="store-detach"),
]
