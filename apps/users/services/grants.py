"""Miners, senders, signers' accounts and rate limits of tenants."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.core import clock
from apps.core.marked_texts import gettext
from apps.users.errors import (
    BadGrant,
    BadLimit,
)
from apps.users.models import (
    AccountApproval,
    MinerGrant,
    RateLimit,
    SignerGrant,
    Tenant,
)
from apps.users.selectors.grants import address_canonical
from poolsite.filecoin.address import Address, address_parse

SIGNER_PROTOCOLS: Final = (1, 3, 4)
"""Address protocols that are keys: secp256k1, BLS, delegated."""


@transaction.atomic
def miner_grant(*, tenant: Tenant, actor_id: int, open_mining: bool = True) -> bool:
    """Grant a miner to a tenant, revoking any other grant.  True if nobody had it."""
    fields = {"tenant": tenant, "open_mining": open_mining}
    grant, is_new = MinerGrant.objects.select_for_update().get_or_create(actor_id=actor_id, defaults=fields)
    if is_new:
        return True
    was_free = grant.deleted_at is not None
    grant.tenant, grant.open_mining, grant.deleted_at = tenant, open_mining, None
    grant.save()
    return was_free


def miner_grant_revoke(*, actor_id: int) -> bool:
    """Revoke the grant of a miner.  False if nobody had it."""
    free = MinerGrant.objects.filter(actor_id=actor_id, deleted_at=None)
    return bool(free.update(deleted_at=clock.now(), updated_at=clock.now()))


@transaction.atomic
def signer_grant(*, tenant: Tenant, address: Address | str, is_by_hand: bool = False) -> SignerGrant:
    """Grant a tenant the use of this sender; safe to repeat.

    Raises BadGrant unless the address is a key, BadAddress unless it is an address.
    """
    parsed = address_parse(address) if isinstance(address, str) else address
    if parsed.protocol not in SIGNER_PROTOCOLS:
        raise BadGrant(f"invalid protocol type: {parsed.protocol}", field="address")
    grant, _ = SignerGrant.objects.get_or_create(address=address_canonical(parsed), tenant=tenant)
    if grant.deleted_at is not None or (is_by_hand and not grant.is_by_hand):
        grant.deleted_at, grant.is_by_hand = None, is_by_hand or grant.is_by_hand
        grant.save()
    return grant


def signer_grant_revoke(*, tenant: Tenant | None, address: Address | str) -> bool:
    """Revoke the grant of an address, of one tenant or of all.  False if it was not granted."""
    grants = SignerGrant.objects.filter(address=address_canonical(address), deleted_at=None)
    if tenant is not None:
        grants = grants.filter(tenant=tenant)
    return bool(grants.update(deleted_at=clock.now(), updated_at=clock.now()))


def account_approve(*, signer_tenant: Tenant, account: Tenant) -> None:
    """Approve that the signers of one tenant serve another; safe to repeat."""
    AccountApproval.objects.update_or_create(
        signer_tenant=signer_tenant, account=account, defaults={"approved_at": clock.now()}
    )


def account_approval_revoke(*, signer_tenant: Tenant, account: Tenant) -> bool:
    """Revoke that approval.  False if there was none."""
    return bool(AccountApproval.objects.filter(signer_tenant=signer_tenant, account=account).delete()[0])


@transaction.atomic
def rate_limit_set(
    *, tenant: Tenant, capacity: int, reset_ns: int, service: str = "", api: str = "", limit_id: str = ""
) -> RateLimit:
    """Create a limit, or change the one with this id.  Raises BadLimit."""
    if capacity < 0 or reset_ns < 0 or (capacity and not reset_ns):
        raise BadLimit(
            gettext("the capacity must be at least 0, and the reset time above 0 unless the capacity is 0"),
            field="capacity" if capacity < 0 else "reset_ns",
        )
    fields = {"tenant": tenant, "capacity": capacity, "reset_ns": reset_ns, "service": service, "api": api}
    if not limit_id:
        return RateLimit.objects.create(**fields)
    row, _ = RateLimit.objects.update_or_create(uuid=limit_id, defaults=fields)
    return row


def rate_limit_delete(*, tenant: Tenant, limit_id: str) -> RateLimit | None:
    """Remove a limit and return it; None if there was none."""
    row = RateLimit.objects.filter(tenant=tenant, uuid=limit_id).first()
    if row is not None:
        RateLimit.objects.filter(pk=row.pk).delete()
    return row
