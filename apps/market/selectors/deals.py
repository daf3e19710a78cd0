"""Reading deals, and what miners ask for."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import (
    BigIntegerField,
    Count,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from apps.chain.heads.steps import EVERY_STEP_EPOCHS
from apps.chain.node.client import ChainClient
from apps.chain.node.public_hosts import is_private_literal
from apps.core.addresses import address_typed
from apps.core.compiled import Compiled
from apps.core.filters import Address, Choices
from apps.core.prepared_statements import Plan, Prepared
from apps.core.reasons import coded_read
from apps.core.uuids import uuid_read
from apps.market import due
from apps.market.errors import ClientUnknown, DealUnknown
from apps.market.models import (
    Deal,
    DealChunk,
    DealCount,
    DealMessage,
    MinerDoor,
    MinerMarket,
)
from apps.market.onchain import escrow_read
from apps.market.reasons import (
    DOOR_ROLE_ELSEWHERE,
    DOOR_SILENT,
    DOOR_UNSERVED,
)
from apps.market.rules import CONFIRM_EPOCHS
from apps.market.states import OVER, PUBLISHED, WITHOUT_DATA, ClientsRule, DealSource, DealState
from apps.messages.models import Message
from apps.messages.selectors.messages import message_may_land
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.miners import MinerFilters, miners_active, miners_visible
from apps.miners.selectors.roles import roles_of_miners
from apps.miners.states import RoleKind
from apps.pieces.models import Piece
from apps.pieces.selectors import piece_held, piece_same
from apps.pieces.states import PieceState
from apps.sectors.models import PipelineRun, Sector, SectorChange
from apps.users.rules.principals import Principal
from poolsite.filecoin.actors.market import Method
from poolsite.filecoin.address import ID, BadAddress, address_parse
from poolsite.filecoin.multiaddr import BadMultiaddr
from poolsite.libp2p.ipni import http_multiaddr
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline.changes import ChangeState
from poolsite.wire.pipeline.snapping import SnapState

NOTED_EPOCHS: Final = 3 * CONFIRM_EPOCHS
"""So long after it landed a publication is noted: it is followed once it is `CONFIRM_EPOCHS` old."""
UNLOCKED = (*WITHOUT_DATA, DealState.UNPUBLISHED, DealState.PUBLISHING)
"""Accepted, and its collateral is not locked on the chain for certain."""
WAITING = (*UNLOCKED, DealState.VERIFIED)
"""Accepted, and in no sector yet."""
LOCKING = Q(state__in=UNLOCKED, door__in=PUBLISHED, chain_deal=None)
"""Deals whose money the market actor will lock, or has locked just now."""
PROMISED = Q(state=DealState.ACCEPTED, piece=None) & ~Q(source=DealSource.OFFLINE)
"""Deals whose data have not begun to come, though they may at any time; disks may never come."""
FREE = Q(allocation=None, is_verified=False, lockup=0)
"""Deals that cost their client neither money nor data cap: a stranger can propose any number."""
HELD_UP = Q(state__in=WITHOUT_DATA) | Q(state=DealState.UNPUBLISHED) & ~Q(reason="")
"""Deals that wait for their data, or are not published for a reason."""


DEAL_BY_UUID: Compiled[Deal] = Compiled(
    "deal_by_uuid",
    lambda key: Deal.objects.select_related("miner__tenant", "piece").filter(uuid=key),
    key="uuid",
)
DEAL_IDENTICAL: Compiled[Deal] = Compiled(
    "deal_identical",
    lambda cid: (
        Deal.objects.filter(proposal_cid=cid)
        .exclude(state__in=[DealState.REFUSED, DealState.FAILED])
        .order_by("pk")[:1]
    ),
    cid="text",
)
MARKET_OF: Compiled[MinerMarket] = Compiled(
    "market_of", lambda miner: MinerMarket.objects.filter(miner=miner), miner="bigint"
)
PROVIDER: Compiled[Miner] = Compiled(
    "miner_of_provider", lambda number: miners_active().filter(actor_id=number)[:1], number="bigint"
)
ACTOR_IDS: Compiled[tuple[int]] = Compiled(
    "miner_ids_of_pool",
    lambda: miners_active().exclude(actor_id=None).order_by().values_list("actor_id"),
)
USE: Compiled[tuple[int, ...]] = Compiled(
    "deals_use",
    lambda miner, tenant, client: (
        Deal.objects.filter(Q(miner__tenant_id=tenant) | Q(client=client) | PROMISED, state__in=WAITING)
        .order_by()
        .values_list("miner__tenant_id")
        .annotate(
            deals=Count("pk", filter=Q(miner=miner)),
            raw_bytes=Sum("raw_size", filter=Q(miner=miner)),
            free_deals=Count("pk", filter=Q(miner=miner) & FREE),
            client_deals=Count("pk", filter=Q(miner=miner, client=client) & HELD_UP),
            promised_bytes=Sum("raw_size", filter=Q(miner__tenant_id=tenant) & PROMISED),
            pool_promised_bytes=Sum("raw_size", filter=PROMISED),
            miner_reserved=Sum("collateral", filter=Q(miner=miner) & LOCKING),
            client_reserved=Sum("lockup", filter=Q(client=client) & LOCKING),
            client_cap_reserved=Sum("padded_size", filter=Q(client=client, is_verified=True) & LOCKING),
        )
    ),
    miner="bigint",
    tenant="bigint",
    client="text",
)
"""By tenant, in the order of `Use`."""

COMING_BYTES: Compiled[tuple[int]] = Compiled(
    "deals_coming_bytes",
    lambda tenant, size: (
        Deal.objects.filter(miner__tenant_id=tenant, miner__sector_size=size, state__in=UNLOCKED)
        .order_by()
        .values_list("miner__tenant_id")
        .annotate(sum=Sum("padded_size"))
        .values_list("sum")
    ),
    tenant="bigint",
    size="bigint",
)

FOLLOWED = Prepared("deals_followed", due.FOLLOWED, ["bigint", "timestamptz"], plan=Plan.ANEW)
ALL_MOVED = Prepared("deals_moved", due.ALL_MOVED, ["bigint"])
WHOLE_EPOCHS = 3000
"""So often all deals are compared with their pieces, at one of the heads at which every step is sent."""
DOOR_SILENCE = timedelta(seconds=30)
"""After which a door counts as down: its process says every ten seconds how it is."""
TERMINATED = (ChangeState.TERMINATE_SENT, ChangeState.TERMINATE_LANDED)
"""States of a termination whose message, once it has landed, has ended the sector."""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a miner's room and of both sides' money accepted deals take until they are in a sector."""

    deals: int
    """That wait for their data or a sector."""
    raw_bytes: int
    """Sum of the deals that wait."""
    free_deals: int
    """Waiting deals that cost their client neither money nor data cap."""
    client_deals: int
    """Deals of this client that wait for their data, or that the chain would leave out."""
    promised_bytes: int
    """Bytes of deals with any miner of the tenant whose data have not begun to come."""
    pool_promised_bytes: int
    """The same with any miner."""
    miner_reserved: int
    """attoFIL that deals will lock at the market actor."""
    client_reserved: int
    """The same of the one client, with any miner."""
    client_cap_reserved: int
    """Bytes of that client's data cap that deals with any miner will spend."""


class DealFilters(MinerFilters):
    """Filters of the list of deals."""

    state = Choices(DealState.values, lookup_expr="in", refusal=_("there is no such state"))
    client = Address(label=_("Client"))


def deals_visible(viewer: Principal) -> QuerySet[Deal]:
    """Return the deals of the miners that this caller may see, newest first."""
    deals = Deal.objects.select_related("miner__tenant", "piece").order_by("-pk")
    if viewer.miners:
        deals = deals.filter(miner__actor_id__in=viewer.miners)
    return deals if viewer.is_operator else deals.filter(miner__tenant_id=viewer.own_id)


def _counts_visible(viewer: Principal) -> QuerySet[DealCount]:
    """Return the counts of the deals of the miners that this caller may see."""
    rows = DealCount.objects.order_by()
    if viewer.miners:
        rows = rows.filter(miner__actor_id__in=viewer.miners)
    return rows if viewer.is_operator else rows.filter(miner__tenant_id=viewer.own_id)


def deals_counts(viewer: Principal) -> dict[str, int]:
    """Count the deals by state."""
    rows = _counts_visible(viewer).values_list("state").annotate(count=Sum("deals"))
    return dict(rows.filter(count__gt=0))


COMING = (*UNLOCKED, DealState.VERIFIED, DealState.SEALING)
"""Accepted, and not active yet."""


class ClientFilters(MinerFilters):
    """Filters of the list of clients."""

    client = Address(label=_("Client"))
    state = Choices(("blocked", "allowed"), method="of_rule", about="by name, in a miner's rule")

    def of_rule(self, rows: QuerySet[Any], _name: str, values: list[str]) -> QuerySet[Any]:
        """Narrow to the clients that miners' rules block, or allow, by name."""
        rules = client_rules(self.viewer)
        named = {name for name, rule in rules.items() for word in values if getattr(rule, word)}
        return rows.filter(client__in=named)


@dataclass(slots=True)
class ClientRule:
    """Which miners name a client in their rules."""

    blocked: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)


def client_rules(viewer: Principal) -> dict[str, ClientRule]:
    """Return which of the viewer's miners block or allow clients by name, by the client's address."""
    rules: dict[str, ClientRule] = {}
    rows = MinerMarket.objects.filter(miner__in=miners_visible(viewer).order_by())
    rows = rows.exclude(clients_rule=ClientsRule.ANYBODY).select_related("miner").order_by("miner_id")
    for market in rows:
        for name in market.clients:
            rule = rules.setdefault(name, ClientRule())
            is_only = market.clients_rule == ClientsRule.ONLY
            (rule.allowed if is_only else rule.blocked).append(str(market.miner))
    return rules


def clients_visible(viewer: Principal) -> QuerySet[DealCount, Any]:
    """Return the clients that proposed deals to the miners that this caller may see, the latest first.

    Each is a row with its address, its deals by how they stand, raw bytes that are active, and times.
    """

    def count(*states: str) -> Coalesce:
        return _sum("deals", *states)

    rows = _counts_visible(viewer).values("client").alias(all=Sum("deals")).filter(all__gt=0)
    return rows.annotate(
        active=count(DealState.ACTIVE),
        coming=count(*COMING),
        ended=count(DealState.ENDED),
        failed=count(DealState.FAILED),
        refused=count(DealState.REFUSED),
        stored=_sum("raw_bytes", DealState.ACTIVE),
        first_at=Min("first_at"),
        last_at=Max("last_at"),
    ).order_by("-last_at", "client")


def _sum(name: str, *states: str) -> Coalesce:
    """Return a sum over the counts in some states; 0 where there are none."""
    total = Sum(name, filter=Q(state__in=states))
    return Coalesce(total, Value(0), output_field=BigIntegerField())


def client_get(viewer: Principal, address: str) -> dict[str, Any]:
    """Return the row of one client.  Raises ClientUnknown, also for one of other tenants' miners alone."""
    try:
        client = address_typed(address)
    except BadAddress:
        raise ClientUnknown(address) from None
    row: dict[str, Any] | None = clients_visible(viewer).filter(client=client).first()
    if row is None:
        raise ClientUnknown(address)
    return row


def client_reasons(viewer: Principal, address: str) -> list[tuple[str, str, int]]:
    """Return why deals of a client were refused or failed: state, reason and how many, the most first."""
    rows = deals_visible(viewer).select_related(None).order_by()
    rows = rows.filter(client=address, state__in=[DealState.REFUSED, DealState.FAILED])
    groups = rows.values_list("state", "reason", "reason_coded").annotate(many=Count("pk"))
    return [
        (state, coded_read(text, code), many)
        for state, text, code, many in groups.order_by("-many", "reason")
    ]


def client_markets(viewer: Principal) -> list[MinerMarket]:
    """Return what each of the viewer's active miners asks for, also where nobody has set it."""
    miners = miners_visible(viewer).filter(pk__in=miners_active()).exclude(actor_id=None)
    rows = miners.select_related("market")
    return [getattr(miner, "market", None) or MinerMarket(miner=miner) for miner in rows]


def deals_by_uuid(viewer: Principal, keys: list[str]) -> QuerySet[Deal]:
    """Return the visible ones of these deals."""
    return deals_visible(viewer).filter(uuid__in=[key for key in keys if uuid_read(key)])


def deal_get(viewer: Principal, name: str) -> Deal:
    """Return a deal by its UUID.  Raises DealUnknown, also for one that the viewer may not see."""
    key = uuid_read(name)
    deal = None if key is None else deals_visible(viewer).filter(uuid=key).first()
    if deal is None:
        raise DealUnknown(name)
    return deal


def deal_of_client(key: uuid.UUID, *, client: str) -> Deal:
    """Return the deal of a client by the name that it gave it.  Raises DealUnknown."""
    rows = Deal.objects.select_related("miner__tenant", "piece").filter(uuid=key, client=client)
    deal = rows.exclude(state=DealState.REFUSED).first()
    if deal is None:
        raise DealUnknown(key)
    return deal


def deal_by_uuid(key: uuid.UUID) -> Deal | None:
    """Return a deal by the name that a client gave it, whoever that was."""
    return next(iter(DEAL_BY_UUID.rows(key=key)), None)


def deals_followed(*, height: int, now: datetime) -> list[Deal]:
    """Return the deals that go on with a head, oldest first; once a day all are looked through."""
    keys = {key for (key,) in FOLLOWED.rows([height, now])}
    if height % WHOLE_EPOCHS < EVERY_STEP_EPOCHS:
        keys |= {key for (key,) in ALL_MOVED.rows([height])}
    rows = Deal.objects.filter(pk__in=keys)
    return list(rows.select_related("miner__tenant", "piece__miner__tenant").order_by("pk"))


def piece_of_deal(deal: Deal) -> Piece | None:
    """Return the piece that holds a deal's data, also where the same data came in another way."""
    if deal.piece is not None:
        return deal.piece
    if deal.is_published:
        return piece_held(deal.uuid)
    named = Piece(miner=deal.miner, **deal.terms)
    piece = piece_same(named, deal.piece_cid)
    return None if piece is None or piece.state == PieceState.ENDED else piece


def sector_end_of(piece: Piece) -> int | None:
    """Return the epoch at which a piece's sector expires; None if it is not known."""
    if piece.sector_number is None:
        return None
    rows = Sector.objects.filter(miner=piece.miner_id, number=piece.sector_number)
    return rows.values_list("expiration", flat=True).first()


def sealing_state_of(deal: Deal) -> str | None:
    """Return how far the sector is that a deal's data go into, or its snap-up; None if there is none."""
    if deal.sector_number is None:
        return None
    rows = Sector.objects.filter(miner=deal.miner_id, number=deal.sector_number)
    snap_up = PipelineRun.objects.filter(sector=OuterRef("pk"), kind=JobKind.SNAP_UP)
    newest = snap_up.exclude(state=SnapState.SNAP_ABORTED).order_by("-pk").values("state")[:1]
    return rows.annotate(now=Coalesce(Subquery(newest), F("state"))).values_list("now", flat=True).first()


def is_copy_spare(deal: Deal, piece: Piece) -> bool:
    """Return whether no other deal keeps an unsealed copy, and its sector has a file to make one from."""
    others = Deal.objects.filter(piece=piece, removes_copy=False).exclude(pk=deal.pk)
    if piece.sector_number is None:
        return False
    sealed = Sector.objects.filter(miner=piece.miner_id, number=piece.sector_number).exclude(store="")
    return sealed.exists() and not others.exclude(state__in=OVER).exists()


def deal_of_allocation(client: str, number: int) -> Deal | None:
    """Return the deal that an allocation is promised to; None where it came to nothing, or has ended."""
    rows = Deal.objects.filter(client=client, allocation=number).exclude(state__in=OVER)
    return next(iter(rows.order_by()[:1]), None)


def sector_terminated_at(piece: Piece) -> int | None:
    """Return the height at which the pool's message ended a piece's sector; None if none did.

    One that failed did not: the sector has ended later, in another way.
    """
    return terminated_at(piece.miner_id, piece.sector_number)


def terminated_at(miner: int, number: int | None) -> int | None:
    """Return the same of a sector by its number."""
    if number is None:
        return None
    rows = SectorChange.objects.filter(sector__miner=miner, sector__number=number)
    rows = rows.filter(state__in=TERMINATED, batch__landed_height__isnull=False)
    return rows.order_by("-pk").values_list("batch__landed_height", flat=True).first()


def chunks_received(deal: Deal) -> list[int]:
    """Return the numbers of a deal's chunks that are here, in order."""
    rows = DealChunk.objects.filter(deal=deal).order_by("number")
    return list(rows.values_list("number", flat=True))


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far the data of a deal have come."""

    received: int
    """Raw bytes on the disk."""
    rate: int | None
    """Bytes a second; None: not known."""
    ends_at: datetime | None
    """When they will all be here at that rate."""
    error: str
    """Last error of a download that is tried again."""


def transfer_of(deal: Deal) -> Transfer | None:
    """Return how far the data of a deal are that come now; None for others."""
    piece = deal.piece
    if deal.state != DealState.TRANSFERRING:
        return None
    if piece is None:
        size = min(len(chunks_received(deal)) * (deal.chunk_size or 0), deal.raw_size)
        return Transfer(size, None, None, "")
    if piece.state not in (PieceState.FETCHING, PieceState.UPLOADING):  # its commitment is being computed
        return Transfer(piece.payload_size or piece.received, None, None, piece.error)
    ends_at = None
    if piece.rate and piece.payload_size:
        left = max(piece.payload_size - piece.received, 0)
        ends_at = piece.updated_at + timedelta(seconds=left / piece.rate)
    return Transfer(piece.received, piece.rate, ends_at, piece.error)


def market_of(miner: Miner) -> MinerMarket:
    """Return what a miner asks for; closed, and not written, where nobody has set it."""
    market = next(iter(MARKET_OF.rows(miner=miner.pk)), None) or MinerMarket()
    market.miner = miner
    return market


def door_port_is_taken(market: MinerMarket) -> bool:
    """Return whether another miner's door listens on the port: all are served on one machine."""
    rows = MinerMarket.objects.filter(takes_libp2p=True, libp2p_port=market.libp2p_port)
    return rows.exclude(miner=market.miner_id).exists()


def doors_switched_on() -> list[MinerMarket]:
    """Return the markets of active miners that have a libp2p door."""
    rows = MinerMarket.objects.filter(takes_libp2p=True, miner__in=miners_active())
    return list(rows.exclude(miner__actor_id=None).select_related("miner__tenant").order_by("miner_id"))


def markets_publishing() -> QuerySet[MinerMarket]:
    """Return the markets of active miners whose deals are published: they have a door, or such deals wait."""
    waiting = Deal.objects.filter(miner=OuterRef("miner"), state__in=UNLOCKED, door__in=PUBLISHED)
    rows = MinerMarket.objects.filter(miner__in=miners_active())
    return rows.filter(Q(takes_libp2p=True) | Exists(waiting)).select_related("miner").order_by("miner_id")


def doors_reported(miners: Collection[int]) -> dict[int, MinerDoor]:
    """Return what was said last of the doors of some miners, by their key."""
    return {row.miner_id: row for row in MinerDoor.objects.filter(miner__in=miners)}


@dataclass(frozen=True, slots=True)
class DoorStatus:
    """Whether a miner's libp2p door answers."""

    report: MinerDoor | None
    """The last report of its process."""
    reason: str
    """Why it does not; empty if it does."""


def doors_status(markets: Sequence[MinerMarket], *, now: datetime) -> dict[int, DoorStatus]:
    """Return, by the miner's key, whether doors that are switched on answer."""
    keys = [market.miner_id for market in markets]
    reports = doors_reported(keys)
    silent = [key for key in keys if key not in reports or reports[key].said_at <= now - DOOR_SILENCE]
    hosts: dict[int, list[str]] = {}
    if silent:
        for role in roles_of_miners(silent).filter(kind=RoleKind.DEAL):
            hosts.setdefault(role.miner_id, []).append(role.host)
    found = {}
    for key in keys:
        row = reports.get(key)
        reason = _silence(row, hosts.get(key, ())) if key in silent or row is None else row.reason
        found[key] = DoorStatus(row, reason)
    return found


def _silence(report: MinerDoor | None, hosts: Sequence[str]) -> str:
    """Return why nothing is heard of a door, of whose miner these hosts have the role Deal."""
    if hosts and (report is None or report.host not in hosts):
        return DOOR_ROLE_ELSEWHERE(hosts=", ".join(hosts))
    return DOOR_UNSERVED() if report is None else report.reason or DOOR_SILENT(host=report.host)


def miner_of_provider(address: str) -> Miner | None:
    """Return the pool's active miner of an address; None if it is not ours."""
    try:
        parsed = address_parse(address)
    except BadAddress:
        return None
    if parsed.protocol == ID:
        return next(iter(PROVIDER.rows(number=parsed.actor_id)), None)
    return miners_active().filter(robust=parsed).first()


def miner_ids_of_pool() -> frozenset[int]:
    """Return the actor ids of all of the pool's active miners."""
    return frozenset(number for (number,) in ACTOR_IDS.rows())


def reserved_read(miner: Miner) -> int:
    """Return the collateral of a miner's deals that the market actor does not lock yet, attoFIL."""
    own = DealMessage.objects.filter(deal=OuterRef("pk"))
    landed = own.filter(message__state=MessageState.LANDED, message__exit_code=0)
    flying = own.filter(message__state__in=[MessageState.UNFILLED, MessageState.FILLED])
    rows = Deal.objects.filter(LOCKING, miner=miner).order_by()
    rows = rows.exclude(Exists(landed) & ~Exists(flying), state=DealState.PUBLISHING)
    return int(rows.aggregate(sum=Sum("collateral"))["sum"] or 0)


def locks_flying_read(miner: Miner) -> int:
    """Return the collateral of a miner's deals in messages with a nonce: locked, or soon, attoFIL."""
    flying = DealMessage.objects.filter(message__state=MessageState.FILLED)
    rows = Deal.objects.filter(LOCKING, state=DealState.PUBLISHING, miner=miner, pk__in=flying.values("deal"))
    return int(rows.order_by().aggregate(sum=Sum("collateral"))["sum"] or 0)


def locks_coming_read(miner: Miner, *, clients: Collection[str]) -> dict[str, int]:
    """Return what messages that have not landed will lock, attoFIL: of a miner, and of clients at any."""
    coming = DealMessage.objects.filter(message__state__in=[MessageState.UNFILLED, MessageState.FILLED])
    rows = Deal.objects.filter(state=DealState.PUBLISHING, pk__in=coming.values("deal")).order_by()
    of_miner = rows.filter(miner=miner).aggregate(sum=Sum("collateral"))["sum"]
    of_clients = rows.filter(client__in=clients).values_list("client").annotate(Sum("lockup"))
    return {miner.address or "": int(of_miner or 0)} | {name: int(sum_) for name, sum_ in of_clients}


@dataclass(frozen=True, slots=True)
class Escrow:
    """A miner's market balance, attoFIL."""

    free: int
    """Neither locked nor reserved; below 0 after a withdrawal."""
    reserved: int
    """Which accepted deals will lock, those of messages in flight among them."""
    locked: int
    """As the collateral of published deals."""


def escrow_of(miner: Miner, *, client: ChainClient, key: str) -> Escrow:
    """Return a miner's market balance at a head.  Raises NodeUnavailable, NodeRefused."""
    whole, locked = escrow_read(client, address=miner.address, key=key)
    reserved = reserved_read(miner)
    return Escrow(free=whole - locked - reserved, reserved=reserved, locked=locked)


def deal_identical(proposal_cid: str) -> Deal | None:
    """Return the deal that a proposal has made already, under whatever name."""
    return next(iter(DEAL_IDENTICAL.rows(cid=proposal_cid)), None)


def deal_message_cid(deal: Deal) -> str:
    """Return the CID of the newest message that publishes a deal, or the one that landed; empty before."""
    rows = DealMessage.objects.filter(deal=deal, message__isnull=False).select_related("message")
    newest = rows.order_by("-pk").first()
    if newest is None or newest.message is None:
        return ""
    return str(newest.message.landed_cid or newest.message.cid)


def deals_publishing(*, settled: int) -> list[Deal]:
    """Return the deals that are in a message, or were, and are not published for certain.

    Not those whose message may still land, or has landed after an epoch: there is nothing to do.
    """
    own = DealMessage.objects.filter(deal=OuterRef("pk"))
    has_landed = Q(message__state=MessageState.LANDED)
    is_over = Q(message__state__in=[MessageState.FAILED, MessageState.REPLACED]) | (
        has_landed & Q(message__height__lte=settled)
    )
    is_open = Q(message__state__in=[MessageState.UNFILLED, MessageState.FILLED]) | (
        has_landed & Q(message__height__gt=settled)
    )
    rows = Deal.objects.filter(Exists(own.filter(is_over)) | ~Exists(own.filter(is_open)))
    returned = Q(state__in=(*WITHOUT_DATA, DealState.UNPUBLISHED), chain_deal=None) & Exists(own)
    rows = rows.filter(Q(state=DealState.PUBLISHING) | returned)
    # Hundreds of deals share a message, whose parameters are read once it has landed.
    messages = DealMessage.objects.select_related("message").defer("message__params", "message__return_data")
    newest = Prefetch("messages", messages.order_by("pk"))
    rows = rows.select_related("miner__tenant", "piece__miner__tenant").prefetch_related(newest)
    return list(rows.order_by("pk"))


def may_be_published(deal: Deal, *, height: int) -> bool:
    """Return whether a message may still publish a deal: its nonce is open, or not used for certain.

    After the deal's start none can: the actor refuses it.  A nonce counts as open for longer than a landing
    takes to be noted.
    """
    if deal.start_epoch is not None and deal.start_epoch + NOTED_EPOCHS < height:
        return False
    rows = Message.objects.filter(pk__in=deal.messages.values("message"))
    used = Message.objects.filter(state=MessageState.LANDED, height__gt=height - NOTED_EPOCHS)
    return any(
        message_may_land(row)
        or (row.nonce is not None and used.filter(from_addr=row.from_addr, nonce=row.nonce).exists())
        for row in rows
    )


def deals_unpublished() -> dict[Miner, list[Deal]]:
    """Return, for each miner, its deals that wait to be published, oldest first."""
    rows = Deal.objects.filter(state=DealState.UNPUBLISHED, piece__state=PieceState.HELD)
    found: dict[Miner, list[Deal]] = {}
    # A thousand rows with a miner each are slow to make: they share few.
    shared = ("messages", "miner__tenant", "miner__market", "piece__miner__tenant")
    for deal in rows.select_related("piece").prefetch_related(*shared).order_by("pk"):
        found.setdefault(deal.miner, []).append(deal)
    return found


def publications_recovered() -> list[tuple[Deal, Message]]:
    """Return the deals that wait to be published, with messages made anew by recovery that publish them."""
    since = Deal.objects.filter(state=DealState.UNPUBLISHED).aggregate(at=Min("created_at"))["at"]
    if since is None:
        return []
    rows = Message.objects.filter(to="f05", method=Method.PUBLISH_STORAGE_DEALS, pushed_by="recovered")
    found = list(rows.filter(created_at__gte=since).order_by("created_at"))
    deals = [deal for of_miner in deals_unpublished().values() for deal in of_miner] if found else []
    return [
        (deal, row)
        for row in found
        for deal in deals
        if deal.proposal and bytes(deal.proposal) in bytes(row.params)
    ]


def deals_waiting() -> QuerySet[Deal]:
    """Return the accepted deals that lack data, or are to be published."""
    return Deal.objects.filter(state__in=UNLOCKED)


def deals_unsealed() -> QuerySet[Deal]:
    """Return the deals whose data wait for a sector, or are being sealed."""
    return Deal.objects.filter(state__in=[DealState.VERIFIED, DealState.SEALING])


def deals_starting(miners: Collection[int], *, until: int) -> list[tuple[int, int, int]]:
    """Return, for miners with such deals that start by an epoch: key, count and first start."""
    rows = deals_waiting().filter(miner__in=miners, start_epoch__lte=until).order_by()
    return list(rows.values_list("miner").annotate(Count("pk"), Min("start_epoch")))


def deals_whole() -> QuerySet[Deal]:
    """Return the deals whose client has finished an upload in chunks that are still to be put together."""
    rows = Deal.objects.filter(is_whole=True, state__in=WITHOUT_DATA)
    return rows.select_related("miner__tenant", "piece").order_by("pk")


def coming_bytes(miner: Miner) -> int:
    """Return the padded bytes of deals that may go into no sector yet, of all miners that share its hosts."""
    rows = COMING_BYTES.rows(tenant=miner.tenant_id, size=miner.sector_size)
    return sum(int(size or 0) for (size,) in rows)


def use_read(miner: Miner, *, client: str) -> Use:
    """Return what the deals of a miner, and of a client, take: one query, as each proposal asks for it."""
    rows = USE.rows(miner=miner.pk, tenant=miner.tenant_id, client=client)
    columns = [*zip(*rows, strict=True)][1:] or [()] * len(fields(Use))
    return Use(*(sum(int(value or 0) for value in column) for column in columns))


def console_address() -> str:
    """Return the multiaddress of the console's HTTP; empty where clients elsewhere cannot reach that."""
    try:
        host = urlsplit(settings.CONSOLE_URL).hostname or ""
        if is_private_literal(host) and not settings.PIECE_URLS_PRIVATE:
            return ""
        return http_multiaddr(settings.CONSOLE_URL)
    except (BadMultiaddr, ValueError):
        return ""
