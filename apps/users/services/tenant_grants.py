"""Granting signers to a tenant from the console, and revoking them; miners are granted by `apps.miners`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.utils.translation import gettext

from apps.core.addresses import address_fault
from apps.core.errors import BadValue, NotFound
from apps.users.errors import BadGrant
from apps.users.models import SignerGrant, Tenant
from apps.users.selectors.grants import address_canonical
from apps.users.services.audit import audit_record
from apps.users.services.grants import signer_grant, signer_grant_revoke
from apps.users.services.tenant_management import tenants_manage_check
from poolsite.filecoin.address import ID, BadAddress, address_parse

if TYPE_CHECKING:
    from apps.users.rules.principals import Principal

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
    signer_grant_revoke(tenant=tenant, address=key)
    audit_record(principal=principal, action="signer.ungrant", target=key, before={"tenant": tenant.name})
