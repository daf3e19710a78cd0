"""Fault injection: what a devnet is told to do wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.devnet import FAULT_DEFAULTS, DevnetState, devnet_state
from apps.chain.selectors.nodes import nodes_devnet
from apps.chain.services.fault_injection import ACTIONS, devnet_action_run, faults_reset, faults_set
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import colon_text, list_text
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.fault_injection.faults import ActionForm, FaultForm, fault_groups
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.chain.models import Node
    from apps.dashboard.forms import PageForm
    from apps.users.rules.principals import Principal


UNREACHABLE: Final = Verdict(_("The devnet node does not respond."), _("Its faults are shown once it does."))


def devnet_nodes(viewer: Principal) -> list[Node]:
    """Return the nodes that are a devnet's; none for tenants."""
    return list(nodes_devnet()) if viewer.is_operator else []


def devnet_verdict(state: DevnetState | None) -> Verdict:
    """Return whether the node behaves, in one sentence."""
    if state is None:
        return UNREACHABLE
    if not state.active:
        return Verdict(_("Node running normally."), _("Devnet only: no real funds."))
    return Verdict(
        gettext("{faults} active.").format(faults=plural(len(state.active), "fault")),
        _("The node misbehaves on purpose."),
    )


def devnet_facts(state: DevnetState) -> list[Fact]:
    """Lay out the status of the node."""
    forms = [FaultForm(name) for name in state.active]
    active = list_text(colon_text(form.label, form.text(state.faults[form.key])) for form in forms)
    return [
        Fact(_("Network"), state.network, mono=True),
        Fact(_("Height"), formatting.whole(state.height)),
        Fact(_("Null rounds so far"), formatting.whole(state.null_rounds)),
        Fact(_("Pending messages"), formatting.whole(state.pending)),
        Fact(_("Active faults"), active or gettext("none")),
    ]


def devnet_state_or_reason(node: Node) -> tuple[DevnetState | None, str]:
    """Return the state of a node, or None and the reason."""
    try:
        return devnet_state(node), ""
    except (NodeUnavailable, NodeRefused) as error:
        return None, error.reason


def status(context: FragmentContext) -> Iterable[str]:
    """Yield the sentence and the facts anew; the forms stay as they are, somebody may be typing."""
    found = [node for node in devnet_nodes(context.viewer) if str(node.pk) == context.key]
    for node in found:
        state, _ = devnet_state_or_reason(node)
        yield fragment("dashboard/_verdict.html", verdict=devnet_verdict(state))
        if state is not None:
            yield fragment("fault_injection/_facts.html", facts=devnet_facts(state))


@require_safe
@sign_in_required
def index(request: HttpRequest, viewer: Principal, pk: int | None = None) -> HttpResponse:
    """One devnet node's faults; without a number the first node's."""
    node = node_find(viewer, pk)
    return page(request, viewer, page_context(node, viewer))


def page(
    request: HttpRequest, viewer: Principal, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render the whole page."""
    return page_render(
        request,
        "fault_injection/detail.html",
        title=_("Fault injection"),
        section="fault-injection",
        page_key=f"fault-injection:{context['node'].pk}",
        data=PageData(viewer),
        status=status,
        nodes=devnet_nodes(viewer),
        node=context["node"],
        verdict=context["verdict"],
        panel=context,
    )


def node_find(viewer: Principal, pk: int | None) -> Node:
    """Return a devnet's node.  Raises Http404 for tenants and where there is none."""
    for node in devnet_nodes(viewer):
        if pk is None or node.pk == pk:
            return node
    raise Http404


def page_context(
    node: Node, viewer: Principal, *, held: PageForm | None = None, refused: str = ""
) -> dict[str, Any]:
    """Return what the panel shows; `held` is a form that was refused, `refused` why nothing was reset."""
    state, away = devnet_state_or_reason(node)
    return {
        "node": node,
        "state": state,
        "away": away,
        "refused": refused,
        "may_act": viewer.may("admin"),
        "verdict": devnet_verdict(state),
        "facts": devnet_facts(state) if state is not None else [],
        "parts": fault_groups(state, held) if state is not None else [],
        "actions": [
            held if isinstance(held, ActionForm) and held.key == name else ActionForm(name)
            for name in ACTIONS
        ],
    }


def acting(viewer: Principal, pk: int) -> Node:
    """Return the node that an operator may change.  Raises Http404."""
    if not viewer.may("admin"):
        raise Http404
    return node_find(viewer, pk)


def answered(
    request: HttpRequest, viewer: Principal, node: Node, *, held: PageForm | None = None, refused: str = ""
) -> HttpResponse:
    """Answer a form: the panel as it stands now, with the refusal where the click was."""
    is_refused = bool(held is not None or refused)
    if not is_refused and not getattr(request, "htmx", False):
        return redirect("fault-injection-node", pk=node.pk)
    context = page_context(node, viewer, held=held, refused=refused)
    status = 422 if is_refused else 200
    if not getattr(request, "htmx", False):
        return page(request, viewer, context, status=status)
    return render(request, "fault_injection/_panel.html", {"panel": context}, status=status)


@require_POST
@sign_in_required
def fault_set(request: HttpRequest, viewer: Principal, pk: int, fault: str) -> HttpResponse:
    """Set one fault."""
    node = acting(viewer, pk)
    if fault not in FAULT_DEFAULTS:
        raise Http404
    form = FaultForm(fault, request.POST)
    if form.is_valid():
        with form.refusals():
            faults_set(principal=viewer, node=node, faults={fault: form.cleaned_data["value"]})
    return answered(request, viewer, node, held=form if form.errors else None)


@require_POST
@sign_in_required
def reset(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Reset every fault."""
    node = acting(viewer, pk)
    try:
        faults_reset(principal=viewer, node=node)
    except DomainError as error:
        return answered(request, viewer, node, refused=error.reason)
    return answered(request, viewer, node)


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, pk: int, op: str) -> HttpResponse:
    """Do something to the chain at once."""
    node = acting(viewer, pk)
    if op not in ACTIONS:
        raise Http404
    form = ActionForm(op, request.POST)
    if form.is_valid():
        with form.refusals():
            devnet_action_run(principal=viewer, node=node, **form.arguments)
    return answered(request, viewer, node, held=form if form.errors else None)


NAV: Final = NavItem(
    "fault-injection", _("Fault injection"), "devnet", place=(3, 1), shown=lambda data: data.has_devnet
)
urlpatterns: Final = [
    path("fault-injection/", index, name="fault-injection"),
    path("fault-injection/<int:pk>/", index, name="fault-injection-node"),
    path("fault-injection/<int:pk>/reset/", reset, name="fault-injection-reset"),
    path("fault-injection/<int:pk>/set/<str:fault>/", fault_set, name="fault-injection-set"),
    path("fault-injection/<int:pk>/action/<str:op>/", action, name="fault-injection-act"),
]
LIVE: Final = {"fault-injection": LivePage({"head": (status,), "node": (status,)})}
