"""Reads of miners, and the choice of the address that sends a miner's messages."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.utils.translation import gettext

from apps.core.compiled import Compiled
from apps.gateway.routes import host_account
from apps.messages.selectors.recovery import recovery_row
from apps.miners.errors import MinerUnknown
from apps.miners.models import ChainRoots, Miner, RewardEstimate, Role, RoleGroup
from apps.miners.states import EXCLUSIVE_ROLES, ROLE_LEASE_S, MinerState, RoleKind, RoleState, Use
from apps.users.principals import Principal
from apps.users.states import Perm
from apps.wallets.selectors import balances_of, senders_granted
from poolsite.filecoin.address import ID, BadAddress, address_parse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.messages.models import Recovery

GOOD_FUNDS: Final = 10**17
"""attoFIL (0.1 FIL); a sender with less is used only if none has that much.  Hundreds of proofs cost less."""


def miners_visible(viewer: Principal) -> QuerySet[Miner]:
    """Return the miners that this caller may see, those whose creation is pending included."""
    miners = Miner.objects.select_related("tenant").prefetch_related("uses").order_by("pk")
    if viewer.miners:
        miners = miners.filter(actor_id__in=viewer.miners)
    return miners if viewer.is_operator else miners.filter(tenant_id=viewer.own_id)


def miner_get(viewer: Principal, address: str) -> Miner:
    """Return a miner by its f0 or f2 address, or by its UUID, which it has before its actor exists.

    Raises MinerUnknown, also for a miner that the viewer may not see.
    """
    row = miners_visible(viewer).filter(_named(address)).first()
    if row is None:
        raise MinerUnknown(address[:100])
    return row


def miners_with_restored_moves(recovery: Recovery) -> QuerySet[Miner]:
    """Return the miners that were moved at heights which are those of a backup: it lacks what was set since.

    None once a person has said that they are right.
    """
    settled, restored = recovery.moves_settled_at, recovery.restored_at
    if restored is None or (settled is not None and settled >= restored):
        return Miner.objects.none()
    moved = Q(works_from__isnull=False) | Q(works_until__isnull=False)
    return Miner.objects.filter(moved, state=MinerState.ACTIVE).order_by("actor_id")


def sector_bytes_usual(tenant_id: int) -> int:
    """Return the sector size of a tenant's miner with most power, of equals the newest; 0 without one."""
    rows = Miner.objects.filter(tenant_id=tenant_id).order_by("-raw_power", "-pk")
    return rows.values_list("sector_size", flat=True).first() or 0


def _named(text: str) -> Q:
    try:
        return Q(uuid=uuid.UUID(text))
    except ValueError:
        pass
    try:
        parsed = address_parse(text)
    except BadAddress:
        raise MinerUnknown(text[:100]) from None
    return Q(actor_id=parsed.actor_id) if parsed.protocol == ID else Q(robust=parsed)


def reward_estimate() -> RewardEstimate | None:
    """Return the chain's estimates of reward and power; None before the first node was read."""
    return RewardEstimate.objects.first()


def miners_active() -> QuerySet[Miner]:
    """Return the miners whose actor exists."""
    return Miner.objects.select_related("tenant").filter(state=MinerState.ACTIVE).order_by("pk")


def miners_active_now() -> list[Miner]:
    """Return the same miners, read now, by a query that is compiled already."""
    return ACTIVE_NOW.rows()


ACTIVE_NOW: Final[Compiled[Miner]] = Compiled("miners_active_now", miners_active)


def roots_active() -> list[ChainRoots]:
    """Return what names the states of the miners whose actor exists, with the miners.

    The CIDs of their deadlines come with `roots_with_each`.
    """
    return ROOTS_ACTIVE.rows()


ROOTS_ACTIVE: Final[Compiled[ChainRoots]] = Compiled(
    "roots_active",
    lambda: (
        ChainRoots.objects.filter(miner__state=MinerState.ACTIVE)
        .defer("each")
        .select_related("miner__tenant")
        .order_by("miner")
    ),
)


def roots_with_each(rows: Sequence[ChainRoots]) -> list[ChainRoots]:
    """Return rows of `roots_active` with the CIDs of their deadlines, all read at once.

    A row that another head has written meanwhile is left out: its CIDs are newer than the head that the
    caller reads, and its turn comes with the next.
    """
    stored = ChainRoots.objects.only("deadlines", "each").in_bulk([row.pk for row in rows])
    same = [row for row in rows if row.pk in stored and stored[row.pk].deadlines == row.deadlines]
    for row in same:
        row.each = stored[row.pk].each
    return same


def miner_principal(miner: Miner) -> Principal:
    """Return the principal that sends for this miner: its tenant, with permission to sign."""
    return Principal(
        tenant_id=miner.tenant_id,
        tenant_name=miner.tenant.name,
        is_operator=False,
        perm=Perm.SIGN,
        actor=f"miner {miner}",
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """The address that sends for a use, and the reason shown for it."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class UseSenders:
    """Who sends a miner's messages of one use."""

    use: Use
    named: list[str]
    """Chosen for it, in order; empty: the worker, then the owner, and for proofs spare control addresses."""
    now: Sending
    """Who would send one now."""


def senders_of(miner: Miner) -> list[UseSenders]:
    """Return who sends for each use."""
    named = senders_named(miner)
    return [UseSenders(use, named[use], sender_choose(miner, use)) for use in Use]


def senders_named(miner: Miner) -> dict[Use, list[str]]:
    """Return the addresses chosen for each use, in order."""
    rows = list(miner.uses.all())
    return {use: [row.address for row in rows if row.use == use] for use in Use}


def miner_senders(miner: Miner, use: Use) -> list[str]:
    """Return the addresses that are tried as the sender for a use, in order."""
    lawful = [miner.worker, miner.owner, *miner.control]
    uses = list(miner.uses.all())
    wanted = [row.address for row in uses if row.use == use and row.address in lawful]
    if use == Use.POST:
        named = {row.address for row in uses}
        wanted += [address for address in miner.control if address not in named]
    return list(dict.fromkeys([*wanted, miner.worker, miner.owner]))


def sender_choose(
    miner: Miner,
    use: Use,
    *,
    balances: Mapping[str, int | None] | None = None,
    granted: Collection[tuple[int, str]] | None = None,
) -> Sending:
    """Return the address that sends for a use: the first with good funds, else the richest.

    Tried are the addresses set for this use, then for proofs the control addresses that no use has, then
    the worker, then the owner; of these only those that may send for the miner and that a signer holds.
    Source: lotus storage/ctladdr/addresses.go AddressFor, PickAddress (which tries spare control addresses
    in random order); damocles-manager/modules/address/sender_selector.go, which takes the richest.

    Who asks for many miners reads the balances and grants of all their addresses before.
    """
    order = miner_senders(miner, use)
    if balances is None:
        balances = balances_of(order)
    if granted is None:
        granted = senders_granted([miner.tenant_id], order)
    held = [address for address in order if address in balances and (miner.tenant_id, address) in granted]
    for address in held:
        if (balances[address] or 0) >= GOOD_FUNDS:
            return Sending(address, gettext("first funded address for {use}").format(use=use.label.lower()))
    if held:
        richest = max(held, key=lambda address: balances[address] or 0)
        return Sending(richest, gettext("no address is well funded; this one has the highest balance"))
    return Sending(miner.worker, gettext("no signer holds any of the miner's addresses"))


def roles_of(miner: Miner) -> QuerySet[Role]:
    """Return the roles of a miner's hosts, by host."""
    return Role.objects.filter(miner=miner).exclude(state=RoleState.REMOVED).order_by("host", "pk")


def roles_seen(viewer: Principal) -> QuerySet[Role]:
    """Return the roles of all miners that this caller may see, with the miners, by miner and host."""
    rows = Role.objects.filter(miner__in=miners_visible(viewer).values("pk")).select_related("miner")
    return rows.exclude(state=RoleState.REMOVED).order_by("miner_id", "host", "pk")


def role_groups_of(miner: Miner) -> list[RoleGroup]:
    """Return the roles of a miner that groups of hosts have, by group."""
    return list(RoleGroup.objects.filter(miner=miner).order_by("group", "pk"))


def role_is_heard(role: Role, *, now: datetime) -> bool:
    """Return whether a program of the host that can do this was heard of within a lease."""
    return role.heard_at is not None and role.heard_at > now - timedelta(seconds=ROLE_LEASE_S)


def role_is_in_force(role: Role, *, now: datetime, restored_at: datetime | None) -> bool:
    """Return whether a host may work in a role now: one that is exclusive needs a lease that runs."""
    runs = role.lease_until is None or role.lease_until > now
    return role.state == RoleState.HELD and runs and not role_is_restored(role, restored_at)


def role_is_restored(role: Role, restored_at: datetime | None) -> bool:
    """Return whether a hold is of a backup that was read in: another host may have taken the role since."""
    is_older = restored_at is not None and role.since < restored_at
    return is_older and role.state == RoleState.HELD and role.is_exclusive


@dataclass(frozen=True, slots=True)
class UnheldRole:
    """A role that hosts of a miner were given and none does."""

    kind: str
    hosts: tuple[str, ...]
    heard_at: datetime | None
    """When the last of these hosts was heard of."""


def roles_unheld(miners: Sequence[Miner], *, now: datetime) -> dict[int, list[UnheldRole]]:
    """Return the exclusive roles that nobody holds and no host is about to take, by the miner's key."""
    by_kind: dict[tuple[int, str], list[Role]] = {}
    given = Role.objects.filter(miner__in=miners, kind__in=EXCLUSIVE_ROLES).exclude(state=RoleState.REMOVED)
    for role in given.order_by("miner_id", "kind", "host"):
        by_kind.setdefault((role.miner_id, role.kind), []).append(role)
    restored_at = recovery_row().restored_at if by_kind else None
    found: dict[int, list[UnheldRole]] = {}
    for (miner_id, kind), roles in by_kind.items():
        if any(
            role_is_in_force(role, now=now, restored_at=restored_at) or role_is_heard(role, now=now)
            for role in roles
            if role.state != RoleState.PARKED
        ):
            continue
        heard = max((role.heard_at for role in roles if role.heard_at is not None), default=None)
        hosts = tuple(role.host for role in roles)
        found.setdefault(miner_id, []).append(UnheldRole(kind, hosts, heard))
    return found


@dataclass(frozen=True, slots=True)
class HostRoles:
    """For which miners a host may work, as its roles stand in this transaction."""

    ruled: dict[str, frozenset[int]]
    """Kind to the keys of the miners of which some host has it: for others every host may do it."""
    held: dict[str, frozenset[int]]
    """Kind to the keys of the miners for which the host holds it."""
    restored_at: datetime | None = None
    """The last restore that was known then."""

    def barred(self, *kinds: str) -> list[int]:
        """Return the keys of the miners for which the host may do none of these kinds."""
        none: frozenset[int] = frozenset()
        first, *rest = (self.ruled.get(kind, none) - self.held.get(kind, none) for kind in kinds)
        return sorted(first.intersection(*rest))


def host_roles(*, tenant_id: int, host: str, now: datetime, lock: bool = False) -> HostRoles:
    """Return for which miners of a tenant a host may work; with `lock` nobody moves its roles meanwhile."""
    rows = Role.objects.filter(miner__tenant_id=tenant_id).exclude(state=RoleState.REMOVED)
    ruled: dict[str, set[int]] = {}
    for miner_id, kind in rows.order_by().values_list("miner_id", "kind").distinct():
        ruled.setdefault(kind, set()).add(miner_id)
    held: dict[str, set[int]] = {}
    restored_at = recovery_row().restored_at if ruled else None
    if ruled:
        mine = Role.objects.filter(host=host, miner__tenant_id=tenant_id).order_by("pk")
        for role in mine.select_for_update(no_key=True, of=("self",)) if lock else mine:
            if role_is_in_force(role, now=now, restored_at=restored_at):
                held.setdefault(role.kind, set()).add(role.miner_id)
    by_kind = [{kind: frozenset(keys) for kind, keys in of.items()} for of in (ruled, held)]
    return HostRoles(ruled=by_kind[0], held=by_kind[1], restored_at=restored_at)


WINNING: Final[Compiled[Role]] = Compiled(
    "winning_roles",
    lambda miners: Role.objects.filter(miner_id__any=miners, kind=RoleKind.WINNING).exclude(
        state=RoleState.REMOVED
    ),
    miners="bigint[]",
)


def winning_hosts(miners: Collection[int] | QuerySet[Miner, int], *, now: datetime) -> dict[int, str]:
    """Return the host that proves a miner's wins, by the miner's key; none where no host has this role.

    An empty name: some host has it, and nobody holds it now.
    """
    roles = WINNING.rows(miners=list(miners))
    found: dict[int, str] = dict.fromkeys([role.miner_id for role in roles], "")
    restored_at = recovery_row().restored_at if roles else None
    for role in roles:
        if role_is_in_force(role, now=now, restored_at=restored_at):
            found[role.miner_id] = role.host
    return found


def winning_account(tenant: str, actor_id: int, *, now: datetime) -> str:
    """Return the account of the hub whose provers may prove a miner's wins: its tenant's, or one host's."""
    hosts = winning_hosts(Miner.objects.filter(actor_id=actor_id).values_list("pk", flat=True), now=now)
    return host_account(tenant, next(iter(hosts.values()))) if hosts else tenant
