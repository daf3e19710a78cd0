"""What can be done with a miner's roles: given at once, everything else after a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.pages.miners.roles import RoleForm, page_of
from apps.dashboard.sessions import sign_in_required
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.miners.services.roles import RoleGrant
from apps.miners.states import RoleKind
from apps.sectors.services.roles.assignments import (
    host_role_assign,
    host_role_fail_over,
    host_role_remove,
    host_roles_combine,
    may_assign,
)
from apps.sectors.services.roles.groups import (
    GroupGrant,
    group_role_assign,
    group_role_remove,
    group_roles_separate,
)
from apps.sectors.services.roles.trial import role_test
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.miners.models import Miner

CONFIRMED: Final[dict[str, tuple[StrOrPromise, StrOrPromise, StrOrPromise]]] = {
    "remove": (
        _("Remove the role {kind} from {host}"),
        _(
            "A host on standby takes over if there is one. The host that loses the role keeps the sectors it "
            "has started. If one of its groups also has the role, it keeps the role through that group."
        ),
        _("Remove role"),
    ),
    "remove-group": (
        _("Remove the role {kind} from the group {group}"),
        _(
            "Its hosts lose the role unless they have it through another group; a host of another group or "
            "with a role of its own may take over."
        ),
        _("Remove role"),
    ),
    "fail-over": (
        _("Fail {kind} over{to}"),
        _("The current holder's jobs for this role end; results it still reports are refused."),
        _("Fail over"),
    ),
    "combine": (
        _("Combine all roles on {host}"),
        _("The roles of other hosts are parked until you separate them. They must have no task in progress."),
        _("Combine"),
    ),
    "separate": (
        _("Separate the roles"),
        _("Each host gets back the roles it had before they were combined."),
        _("Separate"),
    ),
    "test": (
        _("Pledge one sector for {host}"),
        _("It costs a sector's deposit, pledge and gas. Its number must be the miner's highest."),
        _("Pledge one sector"),
    ),
}
"""By act: title, what it means, and the button that does it."""
UNCONFIRMED: Final = ("give", "give-group")
"""What is done without a question."""


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def role_act(request: HttpRequest, viewer: Principal, address: str, act: str) -> HttpResponse:
    """Assign a role, or ask first and do what was confirmed."""
    known = set(CONFIRMED) if request.method != "POST" else {*UNCONFIRMED, *CONFIRMED}
    if not may_assign(viewer) or act not in known:
        raise Http404
    miner = miner_get(viewer, address)
    form = RoleForm(request.POST if request.method == "POST" else request.GET)
    if form.is_valid():
        values = form.cleaned_data
        if act not in UNCONFIRMED and not is_confirm_submitted(request):
            return confirm_of(request, viewer, miner, act, values)
        with form.refusals():
            role_act_do(act, miner, viewer, values)
            return redirect("miner-roles", address)
    return page_of(request, viewer, miner, form)


def confirm_of(
    request: HttpRequest, viewer: Principal, miner: Miner, act: str, values: dict[str, Any]
) -> HttpResponse:
    """Return the page that asks whether to do it."""
    title, text, label = CONFIRMED[act]
    host, group = str(values["host"])[:100], str(values["group"])[:100]
    kind = RoleKind(values["kind"]).label if values["kind"] else ""
    return confirm_page_render(
        request,
        viewer,
        ConfirmPage(
            title=title.format(
                kind=kind, host=host, group=group, to=gettext(" to {host}").format(host=host) if host else ""
            ),
            text=text,
            label=label,
            back=reverse("miner-roles", args=[miner.address]),
            page=str(_("Roles")),
            section="roles",
            is_danger=act == "fail-over",  # it ends jobs; all else is undone by another click
            hidden_fields=(("host", host), ("group", group), ("kind", values["kind"])),
        ),
    )


def role_act_do(act: str, miner: Miner, viewer: Principal, values: dict[str, Any]) -> None:
    """Do one act.  Raises DomainError."""
    host, kind, now = values["host"], values["kind"], clock.now()
    if act in UNCONFIRMED and not kind:
        raise BadValue(gettext("choose a role"), field="kind")
    if act == "give":
        grant = RoleGrant(host=host, kind=kind, priority=values["priority"])
        host_role_assign(miner, grant=grant, principal=viewer, now=now)
    elif act == "give-group":
        group_grant = GroupGrant(group=values["group"], kind=kind, priority=values["priority"])
        group_role_assign(miner, grant=group_grant, principal=viewer, now=now)
    elif act == "remove-group":
        group_role_remove(miner, group=values["group"], kind=kind, principal=viewer, now=now)
    elif act == "remove":
        host_role_remove(miner, host=host, kind=kind, principal=viewer, now=now)
    elif act == "fail-over":
        host_role_fail_over(miner, kind=kind, to_host=host, principal=viewer, now=now)
    elif act == "combine":
        host_roles_combine(miner, host=host, principal=viewer, now=now)
    elif act == "separate":
        group_roles_separate(miner, principal=viewer, now=now)
    else:
        allocated = numbers_allocated(chain_client(), miner.address)
        role_test(miner, host=host, allocated=allocated, principal=viewer, now=now)


urlpatterns: Final = [
    path("miners/<str:address>/roles/<str:act>/", role_act, name="miner-role-act"),
]
