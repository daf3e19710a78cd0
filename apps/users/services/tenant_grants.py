"""Granting signers to a tenant, and revoking them; miners are granted by `apps.miners`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db import transaction

from apps.core.addresses import address_fault
from apps.core.errors import BadValue, NotFound
from apps.core.marked_texts import gettext
from apps.users.errors import BadGrant
from apps.users.models import SignerGrant, Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.grants import address_canonical, signer_grants
from apps.users.services.audit import audit_record
from apps.users.services.grants import signer_grant, signer_grant_revoke
from apps.users.services.tenant_management import tenants_manage_check
from poolsite.filecoin.address import ID, BadAddress, address_parse

ACTOR_MAX: Final = 2**63 - 1
"""Actors are numbered in a signed 64-bit integer on chain."""


def miner_read(text: str) -> int:
    """Read the number of a miner.  Raises BadValue."""
    try:
        address = address_parse(text)
    except BadAddress as error:
        raise BadValue(address_fault(error), field="miner") from None
    if address.protocol != ID or address.actor_id > ACTOR_MAX:
        raise BadValue(gettext("enter the miner's ID address, such as f01000"), field="miner")
    return address.actor_id


@transaction.atomic
def tenant_signer_grant(*, principal: Principal, tenant: Tenant, address: str) -> None:
    """Grant a tenant the use of a sender.  Raises NotAllowed, BadValue."""
    tenants_manage_check(principal)
    try:
        grant = signer_grant(tenant=tenant, address=address, is_by_hand=True)
    except BadAddress as error:
        raise BadValue(address_fault(error), field="address") from None
    except BadGrant as error:
        raise BadValue(error.reason, field="address") from None
    after = {"tenant": tenant.name}
    audit_record(principal=principal, action="signer.grant", target=grant.address, after=after)


@transaction.atomic
def tenant_signer_revoke(*, principal: Principal, tenant: Tenant, address: str) -> None:
    """Revoke a tenant's sender.  Raises NotAllowed, NotFound."""
    tenants_manage_check(principal)
    try:
        key = address_canonical(address)
    except BadAddress:
        key = ""
    if not SignerGrant.objects.filter(tenant=tenant, address=key, deleted_at=None).exists():
        raise NotFound(gettext("that address is not granted to this tenant"), field="address")
    signer_revoke(address=key, tenant=tenant, by=principal)


@transaction.atomic
def signer_revoke(*, address: str, by: Principal, tenant: Tenant | None = None) -> bool:
    """Revoke a sender of one tenant, or of all that have it.  False if none has."""
    grants = signer_grants(address_canonical(address))
    grants = [grant for grant in grants if tenant is None or grant.tenant_id == tenant.pk]
    signer_grant_revoke(tenant=tenant, address=address)
    for grant in grants:
        before = {"tenant": grant.tenant.name}
        audit_record(principal=by, action="signer.ungrant", target=grant.address, before=before)
    return bool(grants)


@transaction.atomic
def tenant_signers_grant(*, principal: Principal, tenant: Tenant, addresses: Sequence[str]) -> None:
    """Grant a tenant the use of senders, all or none.  Raises NotAllowed, BadValue."""
    for address in addresses:
        tenant_signer_grant(principal=principal, tenant=tenant, address=address)


@transaction.atomic
def tenant_signers_revoke(*, principal: Principal, tenant: Tenant, addresses: Sequence[str]) -> None:
    """Revoke those of these senders that a tenant has.  Raises NotAllowed."""
    tenants_manage_check(principal)
    for address in addresses:
        signer_revoke(address=address, tenant=tenant, by=principal)
