"""A new token, whose text is shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from apps.core import clock
from apps.core.addresses import address_fault
from apps.dashboard.first_steps import steps_href, steps_query
from apps.dashboard.forms import PageForm, form_render
from apps.dashboard.layout import page_render
from apps.dashboard.object_fields import Found
from apps.dashboard.page_data import PageData
from apps.dashboard.pickers import picker, tenant_named, tenant_picker
from apps.dashboard.program_commands import (
    NODE_CONFIG,
    console_url,
    node_line,
    program_commands,
    programs_place,
)
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.shown_once import secret_keep, secret_take
from apps.dashboard.text_fields import Choice, Text, TextList
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_evident, tenant_resolve
from apps.users.services.people import can_manage_people
from apps.users.services.tokens import TokenSpec, token_create
from apps.users.states import PART_PERMS, Perm
from poolsite.filecoin.address import ID, BadAddress, address_parse

ANY: Final = "all"
PARTS: Final = (
    ("signer", _("Signer")),
    ("sealer", _("Sealing host")),
    ("prover", _("Prover")),
    (ANY, _("All components")),
)
LEVELS: Final = (
    ("", _("Minimum for this component")),
    (Perm.READ, _("read: view everything of the tenant")),
    (Perm.WRITE, _("write: pledge, seal and prove, push messages over JSON-RPC")),
    (Perm.SIGN, _("sign: send and change messages, sign with the tenant's keys, create miners")),
    (Perm.ADMIN, _("admin: manage people, tokens and rules of the tenant")),
)
LIVES: Final = (
    (0, pgettext_lazy("expires", "never")),
    (1, _("in a day")),
    (30, _("in 30 days")),
    (90, _("in 90 days")),
    (365, _("in a year")),
)
"""Days until a token expires."""
MADE: Final = "token_made"
STARTS: Final[dict[str, str]] = {
    "signer": "make signer CONSOLE={console} TOKEN_FILE=token",
    "sealer": "make worker CONSOLE={console} TOKEN_FILE=token STORE=/mnt/store",
    "prover": "make prover CONSOLE={console} TOKEN_FILE=token STORE=/mnt/store",
}
"""What starts a part's program, in a clone on its machine."""
NODE: Final = "node"
"""What a token was made for that has the pool as the node of a lotus-miner."""


class TokenForm(PageForm):
    """What a token is for, and what it is limited to."""

    blamed = "name"
    name = Text(required=True, longest=100)
    part = Choice(PARTS)
    perm = Choice(LEVELS)
    life = Choice(LIVES, initial=90, coerce=int)
    tenant = Found(tenant_resolve)
    methods = TextList()
    miners = TextList()
    signers = TextList()

    def clean_part(self) -> str:
        """Return the one component that the token is for; empty: all."""
        chosen = str(self.cleaned_data["part"])
        return "" if chosen == ANY else chosen

    def clean_miners(self) -> list[int]:
        """Read ID addresses.  Raises ValidationError."""
        try:
            found = [address_parse(text) for text in self.cleaned_data["miners"]]
        except BadAddress as error:
            raise ValidationError(address_fault(error)) from None
        if any(address.protocol != ID for address in found):
            raise ValidationError(_("use ID addresses for miners, such as f01000"))
        return [address.actor_id for address in found]


def token_made_by(viewer: Principal, form: TokenForm) -> str:
    """Create the token that a form asks for and return its text.  Raises DomainError."""
    sent = form.cleaned_data
    spec = TokenSpec(
        name=sent["name"],
        perm=sent["perm"] or PART_PERMS.get(sent["part"], Perm.READ),
        scopes=[sent["part"]] if sent["part"] else [],
        methods=sent["methods"],
        miners=sent["miners"],
        signers=sent["signers"],
        expires_at=clock.now() + timedelta(days=sent["life"]) if sent["life"] else None,
    )
    return token_create(spec, tenant=sent["tenant"], principal=viewer)[1]


def is_for_node(form: TokenForm) -> bool:
    """Return whether a program may use the pool as its node with this token: seal, send and sign."""
    sent = form.cleaned_data
    return sent["perm"] in (Perm.SIGN, Perm.ADMIN) and not (sent["part"] or sent["methods"] or sent["miners"])


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def token_new(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the form for a token, and make it."""
    if not can_manage_people(viewer):
        raise Http404
    tenant, part = request.GET.get("tenant", tenant_evident(viewer)), request.GET.get("part", "")
    filled = {"tenant": tenant, "part": part, "name": f"{tenant}-{part}" if tenant and part else ""}
    form = TokenForm.of(request, viewer, **filled)
    if form.is_bound and (held := reauthenticate_first(request, viewer)) is not None:
        return held
    if form.is_valid():
        with form.refusals():
            made_for = form.cleaned_data["part"] or (NODE if is_for_node(form) else "")
            secret_keep(request, MADE, text=token_made_by(viewer, form), made_for=made_for)
            return redirect(reverse("token-made") + steps_query(request.GET.get("tenant", "")))
    offered = tenant_named(viewer, form.typed["tenant"])
    return form_render(
        request,
        viewer,
        "tokens/new.html",
        form,
        title=_("New token"),
        section="tokens",
        tenants=picker(viewer, "tenant", value=form.typed["tenant"]) if viewer.is_operator else None,
        miners=tenant_picker(viewer, "miner", tenant=offered),
        signers=tenant_picker(viewer, "wallet", tenant=offered),
        chosen=f"{form.typed['miners']} {form.typed['signers']}".replace(",", " ").split(),
    )


@require_safe
@sign_in_required
def token_made(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show the text of the token that was just made, once."""
    made = secret_take(request, MADE)
    if not made:
        return redirect("tokens")
    console = console_url(request)
    text, made_for = made["text"], made["made_for"]
    start = STARTS.get(made_for, "")
    return page_render(
        request,
        "tokens/made.html",
        title=_("New token"),
        section="tokens",
        data=PageData(viewer),
        text=text,
        done=steps_href(viewer, request.GET.get("tenant", ""), otherwise="tokens"),
        start=program_commands(start.format(console=console), into="token") if start else "",
        place=programs_place(),
        node_line=node_line(text, origin=console) if made_for == NODE else "",
        node_config=NODE_CONFIG,
    )


urlpatterns: Final = [
    path("tokens/new/", token_new, name="token-new"),
    path("tokens/made/", token_made, name="token-made"),
]
