"""How a miner's door is, whether the chain announces it, and what is in its market balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.automation.selectors.auto_rules import escrow_rules
from apps.chain.node.client import page_client
from apps.chain.node.public_hosts import is_public
from apps.core import clock
from apps.core.errors import DomainError
from apps.core.formatting import fil, whole
from apps.core.reasons import shown_text
from apps.dashboard.labels import StateLabel
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.automation.page import rule_row
from apps.dashboard.pages.miners.addresses import PlaceRow, place_rows, reach_label
from apps.dashboard.refusals import refusal_text
from apps.gateway.selectors.connections import signers_connected
from apps.market.selectors.deals import doors_status, doors_switched_on, escrow_of
from apps.market.selectors.earnings import payments_of
from apps.market.selectors.settlements import settling_of
from apps.miners.selectors.addresses import addresses_read
from apps.miners.selectors.deal_reach import door_reach
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import AddressChange, Use
from apps.users.rules.principals import Principal
from poolsite.filecoin.multiaddr import BadMultiaddr, multiaddr_parse
from poolsite.wire.proposals import NO_PUBLISHING

if TYPE_CHECKING:
    from apps.market.models import MinerMarket, Settlement
    from apps.miners.models import Miner


@dataclass(frozen=True, slots=True)
class ChainChange:
    """A message that lets the chain announce a door; its page shows the price first."""

    change: str
    addresses: str
    label: str


@dataclass(frozen=True, slots=True)
class DoorFacts:
    """A miner's door, as its process and the chain say."""

    label: StateLabel
    reason: str
    host: str
    port: int
    peer_id: str
    """Empty: it has none yet."""
    web_place: str = ""
    """Its multiaddress behind the console's port; empty: the console has no https name."""
    dialled: PlaceRow | None = None
    """The result of a connection from this console; None: none was tried."""
    chain_peer_id: str = ""
    places: tuple[PlaceRow, ...] = ()
    """The addresses and peer id that the chain announces."""
    away: str = ""
    """Why the chain could not be read."""
    changes: tuple[ChainChange, ...] = ()
    may_check: bool = False
    may_change: bool = False

    @property
    def is_announced(self) -> bool:
        """Return whether the chain names this door's key."""
        return bool(self.peer_id) and self.peer_id == self.chain_peer_id


@dataclass(frozen=True, slots=True)
class EscrowFacts:
    """A miner's market balance."""

    rows: tuple[tuple[str, str], ...] = ()
    """Label and amount."""
    rules: tuple[tuple[str, str], ...] = ()
    """Address and text of the rules that top it up."""
    away: str = ""


def door_facts(market: MinerMarket, viewer: Principal, *, is_reach_asked: bool) -> DoorFacts | None:
    """Return how a door is; None where it is switched off.  With `is_reach_asked` it is connected to."""
    if not market.takes_libp2p:
        return None
    status = doors_status([market], now=clock.now())[market.miner_id]
    row, is_up = status.report, not status.reason
    facts = DoorFacts(
        label=StateLabel("ok", _("answers")) if is_up else StateLabel("bad", _("does not answer")),
        reason=shown_text(status.reason),
        host="" if row is None else row.host,
        port=market.libp2p_port,
        peer_id="" if row is None else row.peer_id,
        web_place=web_place_of_console(market.miner),
        may_check=viewer.may("write"),
        may_change=viewer.may("sign"),
    )
    is_reach_checked = is_reach_asked and facts.may_check
    if is_reach_checked and facts.host:
        reach = door_reach(facts.host, facts.port)
        facts = replace(facts, dialled=PlaceRow(reach.address, reach_label(reach.state), reach.says))
    try:
        now = addresses_read(market.miner, client=page_client())
    except DomainError as refusal:
        return replace(facts, away=refusal_text(refusal))
    return replace(
        facts,
        chain_peer_id=now.peer_id,
        places=tuple(place_rows(now, is_reach_checked=is_reach_checked)),
        changes=tuple(chain_changes(facts, peer_id=now.peer_id, multiaddrs=now.multiaddrs)),
    )


def chain_changes(facts: DoorFacts, *, peer_id: str, multiaddrs: Sequence[str]) -> list[ChainChange]:
    """Return the messages after which the chain announces a door."""
    found = []
    if facts.peer_id and facts.peer_id != peer_id:
        found.append(ChainChange(AddressChange.PEER_ID, facts.peer_id, _("Set peer id…")))
    place = place_of_console(facts.port)
    if place and not any(_has_port(one, facts.port) for one in multiaddrs):
        found.append(_adding(place, to=multiaddrs))
    if facts.web_place and facts.web_place not in multiaddrs:
        found.append(_adding(facts.web_place, to=multiaddrs))
    return found


def _adding(place: str, *, to: Sequence[str]) -> ChainChange:
    """Return the message that adds one to the addresses on chain."""
    return ChainChange(
        AddressChange.MULTIADDRS, "\n".join((*to, place)), _("Add {place}…").format(place=place)
    )


def _has_port(text: str, port: int) -> bool:
    try:
        return any(part.name == "tcp" and part.value == str(port) for part in multiaddr_parse(text))
    except BadMultiaddr:
        return False


def place_of_console(port: int) -> str:
    """Return the multiaddress of a port at the console's public name; empty if it has none."""
    host = urlsplit(settings.CONSOLE_URL).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return f"/dns4/{host}/tcp/{port}" if "." in host else ""
    return f"/ip{address.version}/{host}/tcp/{port}" if is_public(host) else ""


def web_place_of_console(miner: Miner) -> str:
    """Return the multiaddress of a miner's door behind the console's port, over WebSockets.

    Empty where the console has no https name.  Of several doors each has a name of its own below it.
    """
    parts = urlsplit(settings.CONSOLE_URL)
    host = parts.hostname or ""
    if parts.scheme != "https" or "." not in host or host.replace(".", "").isdigit():
        return ""
    name = f"{miner.address}.{host}" if len(doors_switched_on()) > 1 else host
    return f"/dns4/{name}/tcp/{parts.port or 443}/wss"


def publishing_refused(market: MinerMarket, viewer: Principal) -> str:
    """Return the address whose signer's policy, as read last, allows no publishing; empty: none known."""
    if not market.takes_libp2p:
        return ""
    sender = sender_choose(market.miner, Use.COMMIT).address
    refusing = signers_connected(viewer).filter(
        signer_keys__address=sender, signer_keys__removed_at=None, policy_advice__contains=[NO_PUBLISHING]
    )
    return sender if refusing.exists() else ""


@dataclass(frozen=True, slots=True)
class SettlingFacts:
    """A miner's latest settlements of deals, and why others are not sent."""

    href: str
    """Address of the act that settles now."""
    rows: tuple[tuple[str, str], ...]
    latest: tuple[tuple[str, str], ...]
    """Address of the message, or empty, and a sentence."""


def settling_facts(miner: Miner) -> SettlingFacts | None:
    """Return what was settled last, and why what is due is not; None if nothing was ever due."""
    found, payments = settling_of(miner, now=clock.now()), payments_of([miner])
    if not payments.earned and not found.latest and found.check is None:
        return None
    rows = [
        (_("Earned"), f"{fil(payments.earned)} FIL"),
        (_("Paid into the market balance"), f"{fil(payments.settled)} FIL"),
        (_("Fees of settling today"), f"{fil(found.spent)} FIL"),
    ]
    if found.check is not None and found.check.reason:
        rows.append((_("Not settled"), str(shown_text(found.check.reason))))
    href = reverse("miner-market-settle", args=[miner.address or miner.uuid])
    latest = tuple((_message_href(row), _outcome(row)) for row in found.latest)
    return SettlingFacts(href, tuple(rows), latest)


def _message_href(row: Settlement) -> str:
    return "" if row.message is None else reverse("message", args=[row.message.pk])


def _outcome(row: Settlement) -> str:
    """Return what a settlement has paid, or how it is."""
    if row.is_open:
        return _("{amount} FIL are being settled").format(amount=fil(int(row.owed)))
    if row.height is None:
        return _("{amount} FIL: the message was not carried out").format(amount=fil(int(row.owed)))
    return _("{amount} FIL in epoch {epoch}").format(amount=fil(int(row.paid)), epoch=whole(row.height))


def escrow_facts(miner: Miner, data: PageData) -> EscrowFacts:
    """Return a miner's market balance, and by which rules it is kept."""
    rules = tuple(
        (reverse("auto-rule", args=[rule.uuid]), rule_row(rule, data.names).says)
        for rule in escrow_rules(data.viewer, miner.names)
    )
    if data.head is None:
        return EscrowFacts(rules=rules, away=_("no node has answered yet"))
    try:
        escrow = escrow_of(miner, client=page_client(), key=data.head.key)
    except DomainError as refusal:
        return EscrowFacts(rules=rules, away=refusal_text(refusal))
    rows = (
        (_("Free for further deals"), f"{fil(escrow.free)} FIL"),
        (_("Reserved by accepted deals"), f"{fil(escrow.reserved)} FIL"),
        (_("Locked by published deals"), f"{fil(escrow.locked)} FIL"),
    )
    return EscrowFacts(rows=rows, rules=rules)
