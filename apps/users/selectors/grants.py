"""Reading which signers and miners were granted to which tenant."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import QuerySet

from apps.users.models import MinerGrant, SignerGrant, Tenant
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import Address, address_format, address_parse


def address_canonical(address: Address | str) -> str:
    """Write an address as the rows keep it: with `f`, whatever prefix it came with.  Raises BadAddress."""
    return address_format(address_parse(address) if isinstance(address, str) else address, prefix="f")


def signer_granted(*, tenant_id: int, address: Address | str) -> bool:
    """Return whether this tenant may have messages signed for this address."""
    key = address_canonical(address)
    return SignerGrant.objects.filter(tenant_id=tenant_id, address=key, deleted_at=None).exists()


def signers_granted(pairs: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
    """Return those of the pairs of tenant and address for which that tenant may have messages signed."""
    found = SignerGrant.objects.filter(address__in={address for _, address in pairs}, deleted_at=None)
    return set(pairs) & {
        (tenant, str(address)) for tenant, address in found.values_list("tenant_id", "address")
    }


def sender_known(address: Address | str) -> bool:
    """Return whether any tenant was granted this address."""
    return SignerGrant.objects.filter(address=address_canonical(address), deleted_at=None).exists()


def signers_of(viewer: Principal) -> QuerySet[SignerGrant]:
    """Return the signer grants that this caller may know of."""
    grants = SignerGrant.objects.select_related("tenant").filter(deleted_at=None).order_by("created_at", "pk")
    return grants if viewer.is_operator else grants.filter(tenant_id=viewer.own_id)


def miners_of(viewer: Principal) -> QuerySet[MinerGrant]:
    """Return the miner grants that this caller may know of."""
    grants = MinerGrant.objects.select_related("tenant").filter(deleted_at=None).order_by("created_at", "pk")
    return grants if viewer.is_operator else grants.filter(tenant_id=viewer.own_id)


def miner_grant_find(actor_id: int, *, is_revoked_too: bool = False) -> MinerGrant | None:
    """Find whose miner this is, with the tenant."""
    grants = MinerGrant.objects.select_related("tenant").filter(actor_id=actor_id)
    return (grants if is_revoked_too else grants.filter(deleted_at=None)).first()


def miners_of_tenant(name: str) -> QuerySet[MinerGrant]:
    """Return the miner grants of one tenant."""
    return MinerGrant.objects.filter(tenant__name=name, deleted_at=None).order_by("created_at", "pk")


def signers_of_tenant(name: str) -> QuerySet[SignerGrant]:
    """Return the signer grants of one tenant."""
    return SignerGrant.objects.filter(tenant__name=name, deleted_at=None).order_by("created_at", "pk")


def signer_grants(address: str) -> list[SignerGrant]:
    """Return the grants of one address, with their tenants."""
    grants = SignerGrant.objects.select_related("tenant").filter(address=address, deleted_at=None)
    return list(grants.order_by("created_at", "pk"))


def signer_grant_revoked(*, tenant: Tenant, address: str) -> bool:
    """Return whether this tenant had the address and has it no more."""
    return SignerGrant.objects.filter(tenant=tenant, address=address, deleted_at__isnull=False).exists()


def miner_granted(*, tenant_id: int, actor_id: int) -> bool:
    """Return whether this miner belongs to this tenant."""
    return MinerGrant.objects.filter(tenant_id=tenant_id, actor_id=actor_id, deleted_at=None).exists()


def miner_owner(*, actor_id: int) -> str:
    """Name the tenant that this miner belongs to now; empty if it is nobody's."""
    grants = MinerGrant.objects.filter(actor_id=actor_id, deleted_at=None)
    return grants.values_list("tenant__name", flat=True).first() or ""


def miners_owners(actor_ids: Collection[int]) -> dict[int, int]:
    """Return the tenant of each of these miners that has one, by its number."""
    grants = MinerGrant.objects.filter(actor_id__in=actor_ids, deleted_at=None)
    return dict(grants.values_list("actor_id", "tenant_id"))
