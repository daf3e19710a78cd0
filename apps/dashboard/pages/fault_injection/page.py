"""Fault injection: what a devnet is told to do wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.fault_injection import FAULT_DEFAULTS, DevnetState, FaultValue, devnet_state
from apps.chain.selectors import nodes_devnet
from apps.chain.services.fault_injection import ACTIONS, devnet_act, faults_reset, faults_set
from apps.core import formatting
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.fault_injection.faults import PARTS, action_rows, fault_groups, fault_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from apps.chain.models import Node
    from apps.users.principals import Principal


GONE: Final = Verdict("The devnet's node does not answer.", "Its faults are shown once it does.")


def devnet_nodes(viewer: Principal) -> list[Node]:
    """Return the nodes that are a devnet's; none for tenants."""
    return list(nodes_devnet()) if viewer.is_operator else []


def devnet_verdict(state: DevnetState | None) -> Verdict:
    """Return whether the node behaves, in one sentence."""
    if state is None:
        return GONE
    if not state.active:
        return Verdict("Node running normally.", "Devnet only: no real funds.")
    return Verdict(f"{plural(len(state.active), 'fault')} active.", "The node misbehaves on purpose.")


def devnet_facts(state: DevnetState) -> list[Fact]:
    """Lay out the status of the node."""
    labels = {name: words[0] for faults in PARTS.values() for name, words in faults.items()}
    active = ", ".join(f"{labels[name]}: {fault_text(state.faults[name])}" for name in state.active)
    return [
        Fact("Network", state.network, mono=True),
        Fact("Height", formatting.whole(state.height)),
        Fact("Null rounds so far", formatting.whole(state.null_rounds)),
        Fact("Pending messages", formatting.whole(state.pending)),
        Fact("Active faults", active or "none"),
    ]


def devnet_state_or_reason(node: Node) -> tuple[DevnetState | None, str]:
    """Return the state of a node, or None and the reason."""
    try:
        return devnet_state(node), ""
    except (NodeUnavailable, NodeRefused) as error:
        return None, error.reason


def status(context: FragmentContext) -> Iterable[str]:
    """The sentence and the facts anew; the forms stay as they are, somebody may be typing."""
    found = [node for node in devnet_nodes(context.viewer) if str(node.pk) == context.key]
    for node in found:
        state, _ = devnet_state_or_reason(node)
        yield fragment("dashboard/_verdict.html", verdict=devnet_verdict(state))
        if state is not None:
            yield fragment("fault_injection/_facts.html", facts=devnet_facts(state))


TEXT_MAX: Final = 200
"""Longest text of a fault."""


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
        **context,
    )


def node_find(viewer: Principal, pk: int | None) -> Node:
    """Return a devnet's node.  Raises Http404 for tenants and where there is none."""
    for node in devnet_nodes(viewer):
        if pk is None or node.pk == pk:
            return node
    raise Http404


def page_context(
    node: Node, viewer: Principal, *, error: DomainError | None = None, where: str = "", typed: Any = None
) -> dict[str, Any]:
    """Return what the page's panel shows; `error` stands at the form `where`."""
    state, away = devnet_state_or_reason(node)
    refusals = {where: error.reason} if error is not None else {}
    held: Mapping[str, str] = typed or {}
    return {
        "node": node,
        "state": state,
        "away": away,
        "refused": refusals.get("reset", ""),
        "may_act": viewer.may("admin"),
        "verdict": devnet_verdict(state),
        "facts": devnet_facts(state) if state is not None else [],
        "parts": fault_groups(state, refusals=refusals, typed=held) if state is not None else [],
        "actions": action_rows(refusals=refusals, typed=held),
    }


def acting(viewer: Principal, pk: int) -> Node:
    """Return the node that an operator may change.  Raises Http404."""
    if not viewer.may("admin"):
        raise Http404
    return node_find(viewer, pk)


def answered(
    request: HttpRequest, viewer: Principal, node: Node, *, error: DomainError | None = None, where: str = ""
) -> HttpResponse:
    """Answer a form: the panel as it stands now, with the refusal where the click was."""
    if error is None and not getattr(request, "htmx", False):
        return redirect("fault-injection-node", pk=node.pk)
    typed = {name: str(value) for name, value in request.POST.items()}
    typed |= {where: typed["value"]} if "value" in typed else {}
    context = page_context(node, viewer, error=error, where=where, typed=typed if error is not None else None)
    status = 422 if error is not None else 200
    if not getattr(request, "htmx", False):
        return page(request, viewer, context, status=status)
    return render(request, "fault_injection/_panel.html", context, status=status)


@require_POST
@sign_in_required
def fault_set(request: HttpRequest, viewer: Principal, pk: int, fault: str) -> HttpResponse:
    """Set one fault."""
    node = acting(viewer, pk)
    if fault not in FAULT_DEFAULTS:
        raise Http404
    try:
        value = fault_read(fault, request.POST.get("value", "").strip())
        faults_set(principal=viewer, node=node, faults={fault: value})
    except DomainError as error:
        return answered(request, viewer, node, error=error, where=fault)
    return answered(request, viewer, node)


@require_POST
@sign_in_required
def reset(request: HttpRequest, viewer: Principal, pk: int) -> HttpResponse:
    """Reset every fault."""
    node = acting(viewer, pk)
    try:
        faults_reset(principal=viewer, node=node)
    except DomainError as error:
        return answered(request, viewer, node, error=error, where="reset")
    return answered(request, viewer, node)


@require_POST
@sign_in_required
def action(request: HttpRequest, viewer: Principal, pk: int, op: str) -> HttpResponse:
    """Do something to the chain at once."""
    node = acting(viewer, pk)
    if op not in ACTIONS:
        raise Http404
    try:
        numbers = {number.name: whole_read(request, number.name) for number in ACTIONS[op].numbers}
        is_on = bool(ACTIONS[op].switch) and ACTIONS[op].switch in request.POST
        address = request.POST.get("address", "").strip()
        devnet_act(principal=viewer, node=node, act=op, numbers=numbers, address=address, switch=is_on)
    except DomainError as error:
        return answered(request, viewer, node, error=error, where=op)
    return answered(request, viewer, node)


def whole_read(request: HttpRequest, name: str) -> int:
    """Read a whole number.  Raises BadValue."""
    text = request.POST.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadValue("a whole number is needed", field=name)
    return int(text)


def fault_read(fault: str, text: str) -> FaultValue:
    """Read a fault's value in the form of its quiet one.  Raises BadValue."""
    quiet = FAULT_DEFAULTS[fault]
    try:
        if isinstance(quiet, bool):
            return {"on": True, "off": False}[text]
        if isinstance(quiet, float):
            return float(text)
        return int(text) if isinstance(quiet, int) else text[:TEXT_MAX]
    except (KeyError, ValueError):
        words = "a number" if isinstance(quiet, float) else "a whole number"
        words = "on or off" if isinstance(quiet, bool) else words
        raise BadValue(f"{words} is needed", field=fault) from None


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
