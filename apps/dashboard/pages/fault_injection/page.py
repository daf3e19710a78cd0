"""Fault injection: what a devnet is told to do wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.devnet import FAULT_DEFAULTS, DevnetState, FaultValue, devnet_state
from apps.chain.selectors.nodes import nodes_devnet
from apps.chain.services.fault_injection import ACTIONS, Number, devnet_action_run, faults_reset, faults_set
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import colon_text, list_text
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.forms import PageForm
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import Text
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.chain.models import Node

PARTS: Final[dict[StrOrPromise, dict[str, tuple[StrOrPromise, StrOrPromise, StrOrPromise]]]] = {
    _("Blocks"): {
        "mining": (
            _("Mining"),
            "",
            _("on-demand: one block per message; paused: the chain advances only by the actions above"),
        ),
        "nullLeft": (
            _("Null rounds"),
            _("epochs"),
            _("the built-in miner makes no block in this many coming epochs"),
        ),
        "flapLeft": (
            _("Flapping forks"),
            _("tipsets"),
            _("a heavier fork immediately replaces each of the coming tipsets"),
        ),
        "spikeLeft": (
            _("Base fee spike"),
            _("epochs"),
            _("full blocks: the base fee rises by an eighth per epoch"),
        ),
        "baseFeeFloor": (
            _("Base fee floor"),
            "attoFIL",
            _("blocks are filled while the base fee is below this"),
        ),
        "hideMessages": (_("Withhold messages"), "", _("blocks do not include pending messages")),
        "inclusionDelay": (
            _("Slow inclusion"),
            _("epochs"),
            _("a new message is left out of blocks for this long"),
        ),
        "withholdPost": (_("Withhold proofs"), "", _("the built-in miner does not prove its sector")),
        "loseSector": (
            _("Lose the sector"),
            "",
            _("the built-in miner declares its sector faulty, then recovers it"),
        ),
        "beaconLateMs": (_("Late beacon"), "ms", _("each epoch's beacon value, and so its block, is late")),
    },
    _("Messages"): {
        "dropNext": (_("Drop messages"), _("messages"), _("the next messages are accepted, then dropped")),
        "dropShare": (_("Drop a share"), _("0 to 1"), _("this share of messages is accepted, then dropped")),
    },
    _("Responses"): {
        "lagMs": (_("Lag"), "ms", _("every response is delayed")),
        "jitterMs": (_("Jitter"), "ms", _("a random delay on top of the lag")),
        "lagMethods": (
            _("Lagging methods"),
            _("pattern"),
            _("only matching methods are delayed, such as StateWaitMsg; empty: all"),
        ),
        "stallRandomness": (
            _("Stall randomness"),
            "",
            _("randomness requests wait until this is off, a minute at most"),
        ),
        "errorMethods": (
            _("Fail methods"),
            _("pattern"),
            _("matching methods fail, such as MpoolPush"),
        ),
        "errorShare": (_("Failure rate"), _("0 to 1"), _("share of the calls to those methods that fail")),
        "errorCode": (_("Error code"), "", _("returned by the calls that fail")),
        "errorText": (_("Error text"), "", _("returned by the calls that fail")),
        "garbageMethods": (
            _("Invalid responses"),
            _("pattern"),
            _("matching methods return garbage"),
        ),
    },
    _("Reported state"): {
        "freezeHead": (_("Freeze the head"), "", _("the node keeps reporting its current head")),
        "behind": (_("Report lag"), _("epochs"), _("the node reports that it is this far behind")),
        "networkName": (_("Wrong network"), "name", _("the node reports this network name")),
        "duplicateNotifications": (
            _("Duplicate notifications"),
            "",
            _("every ChainNotify frame is sent twice"),
        ),
    },
}
"""By part of the page: each fault's label, unit and effect."""
ACTION_LABELS: Final[dict[str, tuple[StrOrPromise, StrOrPromise]]] = {
    "mine": (_("Mine"), _("makes this many tipsets now")),
    "advance": (_("Advance"), _("advances the chain by at least this many epochs now")),
    "reorg": (_("Reorganise"), _("replaces the newest tipsets with a heavier branch")),
    "back": (_("Set the head back"), _("moves the head back by this many tipsets, as ChainSetHead does")),
    "foreign": (
        _("Foreign messages"),
        _("sent from an address whose key the node has; empty: its own miner's"),
    ),
    "fail-next": (
        _("Fail messages"),
        _("the next messages that call the method land with this code; 0 stops it"),
    ),
    "drain": (_("Drain funds"), _("limits an actor's balance to this amount")),
    "drop-sockets": (_("Drop sockets"), _("closes all WebSocket connections of this node")),
}
"""Each action's label and effect."""
NUMBER_LABELS: Final[dict[str, StrOrPromise]] = {
    "count": _("Tipsets"),
    "epochs": _("Epochs"),
    "depth": _("Depth"),
    "nulls": _("Null rounds"),
    "messages": _("Messages"),
    "method": _("Method"),
    "code": _("Exit code"),
    "fil": "FIL",
}
SWITCH_LABELS: Final = {"messages": _("include messages")}


TEXT_MAX: Final = 200
"""Longest text of a fault."""


class Value(Text):
    """A fault's value, in the form of the one at which the node behaves."""

    def __init__(self, quiet: FaultValue) -> None:
        super().__init__()
        self.quiet = quiet

    def clean(self, value: Any) -> FaultValue:
        """Return the value.  Raises ValidationError."""
        text = super().clean(value)
        try:
            if isinstance(self.quiet, bool):
                return {"on": True, "off": False}[text]
            if isinstance(self.quiet, float):
                return float(text)
            return int(text) if isinstance(self.quiet, int) else text[:TEXT_MAX]
        except KeyError:
            raise ValidationError(_("must be on or off")) from None
        except ValueError:
            is_integer = isinstance(self.quiet, int)
            message = _("must be a whole number") if is_integer else _("must be a number")
            raise ValidationError(message) from None

    def prepare_value(self, value: Any) -> str:
        """Write it as a form carries it."""
        if isinstance(value, bool):
            return "on" if value else "off"
        return f"{value:g}" if isinstance(value, float) else str(value)


class FaultForm(PageForm):
    """One fault."""

    blamed = "value"

    def __init__(self, key: str, data: Any = None) -> None:
        super().__init__(data)
        self.key, self.quiet = key, FAULT_DEFAULTS[key]
        """Its name, and the value that resets it."""
        self.label, self.unit, self.effect = next(faults[key] for faults in PARTS.values() if key in faults)
        self.fields["value"] = Value(self.quiet)
        self.now = self.quiet
        self.is_switch = isinstance(self.quiet, bool)
        self.is_number = isinstance(self.quiet, int | float) and not self.is_switch
        self.choices = ("auto", "on-demand", "paused") if key == "mining" else ()
        """Empty where any text or number may stand."""

    def at(self, now: FaultValue) -> FaultForm:
        """Return the form beside what the node has now."""
        self.now = now
        self.initial["value"] = now
        return self

    @property
    def is_active(self) -> bool:
        """Return whether the node misbehaves by it."""
        return self.now != self.quiet

    @property
    def undo(self) -> str:
        """The value that resets it, as a form sends it."""
        return self.text(self.quiet)

    @property
    def other(self) -> str:
        """The value that a press of a switch sends."""
        return self.text(not self.now)

    def text(self, value: FaultValue) -> str:
        """Write a value as a form carries it."""
        return str(self.fields["value"].prepare_value(value))


def fault_groups(state: DevnetState, held: PageForm | None) -> list[tuple[StrOrPromise, list[FaultForm]]]:
    """Return all faults by part of the page; `held` is a form that was refused."""
    return [
        (
            part,
            [
                (held if isinstance(held, FaultForm) and held.key == name else FaultForm(name)).at(
                    state.faults[name]
                )
                for name in faults
            ],
        )
        for part, faults in PARTS.items()
    ]


class Count(Text):
    """A number that an action asks for."""

    def __init__(self, number: Number) -> None:
        super().__init__(initial=number.least)
        self.label = NUMBER_LABELS[number.name]
        self.least, self.most = number.least, number.most

    def clean(self, value: Any) -> int:
        """Return the number.  Raises ValidationError."""
        text = super().clean(value)
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ValidationError(_("must be a whole number"))
        return int(text)


class ActionForm(PageForm):
    """Something that can be done to the chain."""

    def __init__(self, key: str, data: Any = None) -> None:
        super().__init__(data)
        self.key, self.action = key, ACTIONS[key]
        self.label, self.effect = ACTION_LABELS[key]
        if self.action.address:
            self.fields["address"] = Text()
        self.fields |= {number.name: Count(number) for number in self.action.numbers}
        if self.action.switch:
            self.fields[self.action.switch] = forms.BooleanField(required=False, initial=True)
        self.switch, self.switch_label = self.action.switch, SWITCH_LABELS.get(self.action.switch, "")

    @property
    def counts(self) -> list[forms.BoundField]:
        """The numbers that it asks for."""
        return [self[number.name] for number in self.action.numbers]

    @property
    def arguments(self) -> dict[str, Any]:
        """Return what it asks the node for."""
        return {
            "act": self.key,
            "numbers": {number.name: self.cleaned_data[number.name] for number in self.action.numbers},
            "address": self.cleaned_data.get("address", ""),
            "switch": bool(self.cleaned_data.get(self.action.switch)),
        }


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
        return None, refusal_text(error)


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
        return answered(request, viewer, node, refused=refusal_text(error))
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
    "fault-injection", _("Fault injection"), "devnet", place=(6, 6), shown=lambda data: data.has_devnet
)
urlpatterns: Final = [
    path("fault-injection/", index, name="fault-injection"),
    path("fault-injection/<int:pk>/", index, name="fault-injection-node"),
    path("fault-injection/<int:pk>/reset/", reset, name="fault-injection-reset"),
    path("fault-injection/<int:pk>/set/<str:fault>/", fault_set, name="fault-injection-set"),
    path("fault-injection/<int:pk>/action/<str:op>/", action, name="fault-injection-act"),
]
LIVE: Final = {"fault-injection": LivePage({"head": (status,), "node": (status,)})}
