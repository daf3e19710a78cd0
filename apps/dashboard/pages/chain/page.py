"""Chain: the newest tipsets, the base fee, what was taken back, the network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from apps.chain.selectors.heads import head_at, heads_recent, heads_taken_back
from apps.chain.selectors.network import network_state, network_version
from apps.chain.selectors.nodes import nodes_all
from apps.chain.selectors.upgrades import nodes_readiness, upgrades_after
from apps.chain.states import NodeCondition
from apps.checks.findings.results import Topic
from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import colon_text
from apps.dashboard.cards import Fact, Verdict
from apps.dashboard.charts import spark
from apps.dashboard.confirm_page import ConfirmPage, confirm_page_render, is_confirm_submitted
from apps.dashboard.fragments import FragmentContext, LivePage, fragment
from apps.dashboard.layout import page_render
from apps.dashboard.pages.chain.node_rows import node_rows
from apps.dashboard.pages.chain.nodes import rows
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.registry import NavItem
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.todo import verdict_by
from apps.miners.services.network_unbind import network_may_unbind, network_unbind
from apps.users.rules.principals import Principal

if TYPE_CHECKING:
    from apps.chain.models import Head


HEADS_SHOWN: Final = 20
FEES_SHOWN: Final = 120
REORGS_SHOWN: Final = 20
UPGRADES_SHOWN: Final = 3


def verdict_of(context: FragmentContext) -> Verdict:
    """Return in one sentence how the nodes do."""
    report = context.data.report_of(Topic.CHAIN)
    nodes = list(nodes_all())
    well = [node for node in nodes if node.condition == NodeCondition.HEALTHY]
    if not nodes:
        return verdict_by(report, Verdict(_("The pool has no node."), _("Set CHAIN_URLS or add one.")))
    head = context.data.head
    at = (
        gettext("The newest tipset is {height}.").format(height=formatting.whole(head.height))
        if head is not None
        else gettext("No tipset yet.")
    )
    return verdict_by(
        report,
        Verdict(
            gettext("{well} of {nodes} healthy.").format(well=len(well), nodes=plural(len(nodes), "node")), at
        ),
    )


def chain_context() -> dict[str, Any]:
    """Return what the heads' part of the page shows."""
    heads = heads_recent(FEES_SHOWN)
    fees = [float(head.base_fee) for head in reversed(heads)]
    lowest, highest = (formatting.fee_text(int(end(fees, default=0))) for end in (min, max))
    return {
        "heads": heads[:HEADS_SHOWN],
        "fee": spark(
            fees,
            label=gettext("base fee of the newest {tipsets}").format(tipsets=plural(len(fees), "tipset")),
        ),
        "fee_now": formatting.fee_text(int(heads[0].base_fee)) if heads else formatting.NOTHING,
        "span": gettext("{lowest} to {highest}").format(lowest=lowest, highest=highest) if fees else "",
        "reorgs": heads_taken_back(REORGS_SHOWN),
    }


def network_facts(context: FragmentContext) -> list[Fact]:
    """Return which rules run and when they change."""
    head, version = context.data.head, network_version()
    if head is None or version is None:
        return []
    facts = [Fact(_("Version"), f"nv{version}")]
    coming = upgrades_after(head.height)
    clock = context.data.clock
    for upgrade in coming[:UPGRADES_SHOWN]:
        left = clock.left_s(upgrade.height) if clock is not None else None
        at = gettext("epoch {height}, in {left}").format(
            height=formatting.whole(upgrade.height), left=formatting.time_left(left)
        )
        facts.append(Fact(gettext("Upgrade {title}").format(title=upgrade.title), at))
    if coming and context.viewer.is_operator:
        facts += ready_facts(head.height)
    if not coming:
        facts.append(Fact(_("Next upgrade"), gettext("none announced by the nodes")))
    return facts


def ready_facts(height: int) -> Iterable[Fact]:
    """Return how many nodes are ready for the next upgrade, and why the others are not."""
    nodes = nodes_readiness(height)
    ready = sum(one.is_ready is True for _, one in nodes)
    yield Fact(
        gettext("Nodes ready"),
        gettext("{ready} of {nodes}").format(ready=ready, nodes=plural(len(nodes), "node")),
    )
    for node, one in nodes:
        if not one.is_ready:
            yield Fact(
                gettext("Not ready") if one.is_ready is False else gettext("Unknown"),
                colon_text(node, one.reason),
            )


def network(context: FragmentContext) -> Iterable[str]:
    """Yield the countdown to the next upgrade."""
    yield fragment("chain/_network.html", facts=network_facts(context))


def verdict(context: FragmentContext) -> Iterable[str]:
    yield fragment("dashboard/_verdict.html", verdict=verdict_of(context))


def heads(context: FragmentContext) -> Iterable[str]:  # noqa: ARG001  # the signature of all fragments
    """Yield the newest tipsets, the fee and the reorgs."""
    yield fragment("chain/_heads.html", **chain_context())


HEIGHT_DIGITS: Final = 16
UNBIND_TEXT: Final = _(
    "All stored tipsets are deleted, and the pool binds to the network of the next node that responds. "
    "Remove or disable the nodes of the current network first."
)


@require_safe
@sign_in_required
def chain(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Return the nodes and the newest tipsets; with `height` the tipset of that height."""
    wanted = request.GET.get("height", "").strip()
    found = head_wanted(wanted)
    if found is not None:
        return redirect("chain-tipset", height=found.height)
    context = FragmentContext(viewer, "")
    return page_render(
        request,
        "chain/list.html",
        title=_("Chain"),
        section="chain",
        page_key="chain",
        data=context.data,
        verdict=verdict_of(context),
        nodes=node_rows(viewer),
        shows_nodes=viewer.is_operator,
        may_create=viewer.is_operator and viewer.may("admin"),
        facts=network_facts(context),
        may_unbind=may_unbind(viewer),
        wanted=wanted,
        not_found=gettext("No tipset stored at or before {wanted}.").format(wanted=wanted) if wanted else "",
        status=404 if wanted else 200,
        **chain_context(),
    )


def may_unbind(viewer: Principal) -> bool:
    """Return whether the viewer may undo the pool's binding to its network, and nothing hangs on it."""
    return viewer.is_operator and viewer.may("admin") and network_may_unbind()


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def unbind(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Unbind the pool from a network that it was bound to by mistake, after a confirmation."""
    if not (viewer.is_operator and viewer.may("admin")):
        raise Http404
    refusal = ""
    if is_confirm_submitted(request):
        if (held := reauthenticate_first(request, viewer)) is not None:
            return held
        try:
            network_unbind(principal=viewer)
        except DomainError as error:
            refusal = refusal_text(error)
        else:
            return redirect("chain")
    state = network_state()
    ask = ConfirmPage(
        title=_("Unbind the pool from its network"),
        text=refusal or UNBIND_TEXT,
        label=_("Unbind"),
        back=reverse("chain"),
        page=_("Chain"),
        section="chain",
        facts=((gettext("Network"), state.name or gettext("none")),),
    )
    return confirm_page_render(request, viewer, ask, status=422 if refusal else 200)


def head_wanted(text: str) -> Head | None:
    """Return the tipset at a height that somebody typed, or the one before it; None for what is no height."""
    if not (text.isascii() and text.isdigit() and len(text) < HEIGHT_DIGITS):
        return None
    return head_at(int(text))


NAV: Final = NavItem("chain", _("Chain"), "chain", place=(6, 3), jump="c")
urlpatterns: Final = [
    path("chain/", chain, name="chain"),
    path("chain/unbind/", unbind, name="chain-unbind"),
]
LIVE: Final = {
    "chain": LivePage(
        {"head": (verdict, network, heads), "node": (verdict,)}, rows={"node": rows}, findings=verdict
    )
}
