"""Join a host: the command that makes another machine a sealing host or a prover of this pool."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.core.formatting import size
from apps.dashboard.first_steps import steps_href, steps_query
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.join_page import join_page_render
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import picker, tenant_named, tenant_viewer
from apps.dashboard.program_commands import console_url
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.shown_once import secret_keep, secret_take
from apps.dashboard.text_fields import Choice, Text
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_evident, tenant_resolve
from apps.users.services.join_tokens import join_token_issue
from apps.users.services.people import can_manage_people

PARTS: Final = (("sealer", _("Sealing host")), ("prover", _("Prover")))
SIZES: Final = ("2KiB", "8MiB", "512MiB", "32GiB", "64GiB")
"""Sector sizes as a host's command line writes them."""
PROGRAMS: Final = {"sealer": "worker", "prover": "prover"}
"""Part → its `make` command."""
MADE: Final = "join_made"


class JoinForm(PageForm):
    """What the host shall do, and whose it is."""

    blamed = "part"
    part = Choice(PARTS)
    tenant = Found(tenant_resolve)
    store = Text(initial="/mnt/store")
    sector_size = Choice([("", ""), *((size, size) for size in SIZES)])
    """As the command takes it."""

    def clean_store(self) -> str:
        """Read the folder on the host.  Raises ValidationError."""
        store = str(self.cleaned_data["store"])
        if not store.startswith("/") or any(sign in store for sign in "'\"\\$` \n"):
            raise ValidationError(
                _("must be an absolute path without spaces, quotes, \\, $ or `, such as /mnt/store")
            )
        return store


def size_of(viewer: Principal, tenant_name: str) -> str:
    """Return the sector size of a tenant's newest miner, as the command takes it; empty without one."""
    if not tenant_named(viewer, tenant_name):
        return ""
    miners = PageData(tenant_viewer(viewer, tenant_name)).miners
    newest = max(miners, key=lambda miner: miner.pk, default=None)
    return "" if newest is None else "".join(size(newest.sector_size)).replace(".00", "")


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def host_join(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for a host, and make its join token."""
    if not can_manage_people(viewer):
        raise Http404
    tenant_name = request.GET.get("tenant", tenant_evident(viewer))
    filled = {"tenant": tenant_name, "part": request.GET.get("part", "")}
    form = JoinForm.of(request, viewer, **filled, sector_size=size_of(viewer, tenant_name))
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            sent = form.cleaned_data
            token = join_token_issue(tenant=sent["tenant"], part=sent["part"], by=viewer)
            details = {name: sent[name] for name in ("part", "store", "sector_size")}
            secret_keep(request, MADE, token=token, **details)
            return redirect(reverse("host-joining") + steps_query(request.GET.get("tenant", "")))
    return form_render(
        request,
        viewer,
        "hosts/join.html",
        form,
        title=_("Join a host"),
        section="hosts",
        sizes=[(text, f"{text[:-3]} {text[-3:]}") for text in SIZES],
        tenants=picker(viewer, "tenant", value=form.typed["tenant"]) if viewer.is_operator else None,
    )


@require_safe
@sign_in_required
def host_joining(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the commands, and the join token that was just made, once."""
    made = secret_take(request, MADE)
    if not made:
        return redirect("hosts")
    start = f"make {PROGRAMS[made['part']]} CONSOLE={console_url(request)} STORE={made['store']}"
    if made["sector_size"]:
        start += f" SECTOR_SIZE={made['sector_size']}"
    return join_page_render(
        request,
        viewer,
        "hosts/joining.html",
        title=_("Join a host"),
        section="hosts",
        token=made["token"],
        start=start,
        done=steps_href(viewer, request.GET.get("tenant", ""), otherwise="hosts"),
    )


urlpatterns: Final = [
    path("hosts/join/", host_join, name="host-join"),
    path("hosts/joining/", host_joining, name="host-joining"),
]
