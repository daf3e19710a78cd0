"""Reading miners: those that a viewer may see, those that are active, who sends for one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.core.compiled import Compiled
from apps.core.filters import ListFilters, Words
from apps.core.uuids import uuid_read
from apps.messages.models import Recovery
from apps.miners.errors import MinerUnknown
from apps.miners.models import Miner, RewardEstimate
from apps.miners.states import MinerState
from apps.users.rules.principals import Principal
from apps.users.states import Perm
from poolsite.filecoin.address import ID, BadAddress, address_parse


def miners_visible(viewer: Principal) -> QuerySet[Miner]:
    """Return the miners that this caller may see, those whose creation is pending included."""
    miners = Miner.objects.select_related("tenant").prefetch_related("uses").order_by("pk")
    if viewer.miners:
        miners = miners.filter(actor_id__in=viewer.miners)
    return miners if viewer.is_operator else miners.filter(tenant_id=viewer.own_id)


def miner_names(viewer: Principal) -> dict[str, str]:
    """Return the names of the viewer's miners by address, or the address of one without a name."""
    rows = miners_visible(viewer).select_related(None).prefetch_related(None).exclude(actor_id=None)
    return {
        f"f0{actor_id}": name or f"f0{actor_id}" for actor_id, name in rows.values_list("actor_id", "name")
    }


def miner_get(viewer: Principal, address: str) -> Miner:
    """Return a miner by its f0 or f2 address, or by its UUID, which it has before its actor exists.

    Raises MinerUnknown, also for a miner that the viewer may not see.
    """
    return _first(miners_visible(viewer), address)


def miner_alone(viewer: Principal, address: str) -> Miner:
    """Return the same with its tenant, without what sends for it."""
    return _first(miners_visible(viewer).prefetch_related(None), address)


def _first(rows: QuerySet[Miner], address: str) -> Miner:
    row = rows.filter(_named(address)).first()
    if row is None:
        raise MinerUnknown(address[:100])
    return row


class MinerFilters(ListFilters):
    """The filters by miner, and by its tenant, of a list whose rows belong to one."""

    miner = Words(label=_("Miner"), method="of_miner")
    tenant = Words(method="of_tenant", about="name of the tenant whose miners' rows these are")

    def of_miner(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Narrow to a miner.  Raises MinerUnknown."""
        return rows.filter(miner=miner_get(self.viewer, value))

    def of_tenant(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Narrow to a tenant: its miners' keys come first, as the rows have an index by miner."""
        miners = miners_visible(self.viewer).filter(tenant__name=value)
        return rows.filter(miner__in=list(miners.order_by().values_list("pk", flat=True)))


class TenantFilters(ListFilters):
    """The filters by tenant, and by a miner of one, of a list whose rows belong to a tenant."""

    tenant = Words(field_name="tenant__name", about="name of the tenant to which they belong")
    miner = Words(method="of_miners_tenant", about="a miner: those of its tenant, as none is a miner's alone")

    def of_miners_tenant(self, rows: QuerySet[Any], _name: str, value: str) -> QuerySet[Any]:
        """Narrow to those of a miner's tenant.  Raises MinerUnknown."""
        return rows.filter(tenant=miner_alone(self.viewer, value).tenant_id)


def miners_of_addresses(addresses: Collection[str]) -> dict[str, Miner]:
    """Return the pool's active miners among some receivers, by the f0 or f2 address that names each."""
    ids = {number for one in addresses if (number := _actor_id(one)) is not None}
    named = Q(actor_id__in=ids) | Q(robust__in=[one for one in addresses if one])
    rows = Miner.objects.filter(named, state=MinerState.ACTIVE)
    by_name = {name: row for row in rows for name in row.names}
    return {one: by_name[f"f{one[1:]}"] for one in addresses if f"f{one[1:]}" in by_name}


def _actor_id(address: str) -> int | None:
    try:
        parsed = address_parse(address)
    except BadAddress:
        return None
    return parsed.actor_id if parsed.protocol == ID else None


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
    key = uuid_read(text)
    if key is not None:
        return Q(uuid=key)
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


def miners_active_among(keys: Collection[int]) -> list[Miner]:
    """Return those of some miners, likewise."""
    return ACTIVE_AMONG.rows(keys=list(keys))


ACTIVE_AMONG: Final[Compiled[Miner]] = Compiled(
    "miners_active_among", lambda keys: miners_active().filter(pk__any=keys), keys="bigint[]"
)
ACTIVE_NOW: Final[Compiled[Miner]] = Compiled("miners_active_now", miners_active)


def miner_principal(miner: Miner, *, by: Principal | None = None) -> Principal:
    """Return the principal that sends for this miner: its tenant, with permission to sign.

    `by` asked for it, and is named as who pushed; without it the pool acts by itself.
    """
    return Principal(
        tenant_id=miner.tenant_id,
        tenant_name=miner.tenant.name,
        is_operator=False,
        perm=Perm.SIGN,
        actor=f"miner {miner}" if by is None else by.actor,
        people=() if by is None else by.people,
    )
