"""The policy of a wallet's signer: what it allows, its versions, and what is proposed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.core import formatting
from apps.core.errors import DomainError
from apps.core.formatting import plural
from apps.core.languages import clauses_text, list_text
from apps.dashboard.cards import Verdict
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.market.selectors.deals import markets_publishing
from apps.miners.selectors.senders import senders_chosen
from apps.miners.states import Use
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import is_held_twice, policy_read, policy_version_read, signer_find
from poolsite.wire.policy import PolicyState, RuleForm, is_old_default
from poolsite.wire.proposals import (
    OWN_TRANSFERS,
    free_escrows,
    own_miners_edit,
    proofs_edit,
    publishing_edit,
)

if TYPE_CHECKING:
    from apps.gateway.models import SignerConnection
    from apps.wallets.models import Wallet

SHOWN: Final = 4
"""Methods that stand in a row; the others are counted."""
LIMITS: Final = (
    (_("value up to {limits}"), "value_max", "value_per_day"),
    (_("fees up to {limits}"), "fee_max", "fee_per_day"),
    (_("premiums up to {limits}"), "premium_max", "premium_per_day"),
)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule."""

    place: int
    name: str
    allows: str
    allows_all: str
    """All methods, for who wants to see them."""
    where: str
    limits: str
    sets: str
    """Named sets that it belongs to; empty: none."""


def values_text(values: tuple[str, ...], *, any_text: str) -> str:
    """Name some of many."""
    if not values:
        return any_text
    more = gettext(" and {values} more").format(values=len(values) - SHOWN) if len(values) > SHOWN else ""
    return list_text(values[:SHOWN]) + more


def allows_text(rule: RuleForm) -> str:
    """Return what a rule allows."""
    others = tuple(kind for kind in rule.types if kind != "message")
    if "message" not in rule.types:
        return values_text(others, any_text=gettext("nothing"))
    methods = values_text(rule.methods, any_text=gettext("every message"))
    return clauses_text((methods, list_text(others))) if others else methods


def where_text(rule: RuleForm) -> str:
    """Return for which keys, receivers, callers and hours it holds."""
    parts = [
        f"{label} {values_text(tuple(formatting.shortened(one) for one in values), any_text='')}"
        for label, values in (("key", rule.keys), ("to", rule.to))
        if values
    ]
    parts += (
        [gettext("called by {words_of}").format(words_of=values_text(rule.callers, any_text=""))]
        if rule.callers
        else []
    )
    parts += [f"{rule.hours} UTC"] if rule.hours else []
    return clauses_text(parts) or gettext("any key, any recipient")


def limits_text(rule: RuleForm) -> str:
    """Return what it limits, for a message and for a day."""
    parts = []
    for text, a_message, a_day in LIMITS:
        limits = [
            per.format(amount=amount)
            for per, amount in (
                (gettext("{amount} a message"), getattr(rule, a_message)),
                (gettext("{amount} a day"), getattr(rule, a_day)),
            )
            if amount
        ]
        if limits:
            parts.append(text.format(limits=gettext(" and ").join(limits)))
    return clauses_text(parts) or gettext("no limit")


def rule_row(rule: RuleForm, *, place: int) -> RuleRow:
    """Lay out one rule."""
    return RuleRow(
        place=place,
        name=rule.name,
        allows=allows_text(rule),
        allows_all="\n".join(rule.methods),
        where=where_text(rule),
        limits=limits_text(rule),
        sets=list_text(rule.sets),
    )


OWN_WALLETS_MIN: Final = 2
"""A transfer needs a sender and a receiver."""


@dataclass(frozen=True, slots=True)
class MinersProposal:
    """Miners that the rule for sealing and proving does not name yet."""

    wallet: str
    """A key of the signer whose policy is to change."""
    miners: tuple[str, ...]
    is_open: bool
    """Whether the rule names no receiver, so that it signs for anybody's miner."""
    editors: tuple[str, ...]
    """Whose code approves the change here."""
    shown_by: str = ""
    """The miner whose page shows it; empty on the signer's own."""

    @property
    def names(self) -> str:
        """The miners in words."""
        return list_text(self.miners)

    @property
    def command(self) -> str:
        """Return what the signer's owner runs on its host instead."""
        return " --miner ".join(("python -m workers signer policy", *self.miners))


@dataclass(frozen=True, slots=True)
class TransfersProposal:
    """What the rule for transfers between the signer's own keys allows; empty amounts without one."""

    wallet: str
    wallets: tuple[str, ...]
    value_max: str
    value_per_day: str


def miners_proposal(wallet: Wallet, state: PolicyState, miners: Sequence[str]) -> MinersProposal | None:
    """Return which of these miners the signer's policy has to name; None if it names them all."""
    edit = own_miners_edit(state.rules, miners)
    if edit is None or edit.rule is None:
        return None
    was = next(rule for rule in state.rules if rule.name == edit.name)
    missing = tuple(address for address in miners if address not in was.to)
    return MinersProposal(wallet.address, missing or tuple(miners), not was.to, state.editors)


def transfers_proposal(
    wallet: Wallet, state: PolicyState, signer: SignerConnection
) -> TransfersProposal | None:
    """Return what transfers between this signer's own keys are allowed; None if it holds one key only."""
    keys = signer.signer_keys.filter(removed_at=None).order_by("verified_at", "pk")
    wallets = tuple(keys.values_list("address", flat=True))
    if len(wallets) < OWN_WALLETS_MIN:
        return None
    rule = next((one for one in state.rules if one.name == OWN_TRANSFERS), None)
    value_max, per_day = ("", "") if rule is None else (rule.value_max, rule.value_per_day)
    return TransfersProposal(wallet.address, wallets, value_max, per_day)


def unpublished_miners(viewer: Principal, state: PolicyState, signer: SignerConnection) -> list[str]:
    """Return the viewer's miners whose deals this signer is to publish, if no rule allows that."""
    if state.error or publishing_edit(state.rules) is None:
        return []
    markets = markets_publishing().filter(miner__in=PageData(viewer).miners)
    chosen = senders_chosen([market.miner for market in markets], uses=(Use.COMMIT,))
    keys = set(signer.signer_keys.filter(removed_at=None).values_list("address", flat=True))
    return [miner.address for miner, senders in chosen.items() if senders[Use.COMMIT] in keys]


def editor_only(viewer: Principal) -> None:
    """Refuse whoever does not run the tenant: this changes what may be signed."""
    if not viewer.may("admin"):
        raise Http404


def policy_page(
    request: HttpRequest, viewer: Principal, wallet: Wallet, *, name: str, status: int = 200, **more: Any
) -> HttpResponse:
    """Render one of the pages below a wallet's policy."""
    titles = {
        "policy": gettext("Signing policy"),
        "policy_rule": gettext("Rule"),
        "policy_text": gettext("Policy as text"),
    }
    return page_render(
        request,
        f"wallets/{name}.html",
        title=titles.get(name, gettext("Signing policy")),
        section="wallets",
        data=PageData(viewer),
        status=status,
        wallet=wallet,
        wallet_name=str(wallet),
        may_edit=viewer.may("admin") and is_editable(more.get("state")),
        may_try=viewer.may("write"),
        **more,
    )


def is_editable(state: PolicyState | None) -> bool:
    """Return whether a signer accepts changes of its policy from the console; None: not known, so yes."""
    return state is None or bool(state.editors)


def verdict_of(state: PolicyState) -> Verdict:
    """Return in one sentence what holds and who may change it here."""
    if state.error:
        return Verdict(_("Nothing is signed:"), state.error)
    rules = gettext("{rules}, version {number}.").format(
        rules=plural(len(state.rules), "rule"), number=state.number
    )
    if not state.editors:
        return Verdict(rules, _("The signer accepts no changes from here."))
    return Verdict(rules, gettext("{editors} may change it here.").format(editors=list_text(state.editors)))


@require_safe
@sign_in_required
def policy(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Return the rules in force, the named sets and the versions."""
    wallet = wallet_get(viewer, address)
    try:
        state = policy_read(viewer, address=address)
    except DomainError as refusal:
        away = Verdict(_("The policy cannot be shown:"), refusal_text(refusal))
        return policy_page(request, viewer, wallet, name="policy", state=None, verdict=away)
    signer = signer_find(viewer, address=address)
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy",
        state=state,
        rules=[rule_row(rule, place=place) for place, rule in enumerate(state.rules, 1)],
        verdict=verdict_of(state),
        is_held_twice=is_held_twice(wallet),
        is_old_default=is_old_default(state.digest, (rule.methods for rule in state.rules)),
        free_premiums=list_text(rule.name for rule in state.rules if rule.has_free_premium),
        proofs=proofs_edit(state.rules),
        free_escrows=list_text(free_escrows(state.rules)),
        proposal=miners_proposal(wallet, state, miners_of(viewer, wallet)),
        unpublished=list_text(unpublished_miners(viewer, state, signer)),
        transfers=transfers_proposal(wallet, state, signer),
    )


def miners_of(viewer: Principal, wallet: Wallet, *, also: str = "") -> list[str]:
    """Return the addresses of the miners of a wallet's tenant, and of one that the viewer names and sees."""
    rows = [one for one in PageData(viewer).miners if one.address]
    own = wallet.tenant_id
    return [one.address for one in rows if one.tenant_id == own or one.address == also]


@require_safe
@sign_in_required
def version(request: HttpRequest, viewer: Principal, address: str, number: int) -> HttpResponse:
    """One version: who took it, what it changed, its text, and the way back to it."""
    wallet = wallet_get(viewer, address)
    try:
        found = policy_version_read(viewer, address=address, number=number)
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)
    return policy_page(request, viewer, wallet, name="policy_version", shown=found, packed=pack(found.text))


def refused(request: HttpRequest, viewer: Principal, wallet: Wallet, refusal: DomainError) -> HttpResponse:
    """Return why the signer was not asked, or what it said."""
    verdict = Verdict(_("Failed:"), refusal_text(refusal))
    return policy_page(request, viewer, wallet, name="policy", state=None, verdict=verdict, status=422)


def pack(text: str) -> str:
    """Write a text so that a form does not touch its line ends."""
    return base64.b64encode(text.encode()).decode()


urlpatterns: Final = [
    path("wallets/<str:address>/policy/", policy, name="policy"),
    path("wallets/<str:address>/policy/versions/<int:number>/", version, name="policy-version"),
]
