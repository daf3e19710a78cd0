"""Reading which keys a tenant may use only because another tenant's signer connected."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from apps.gateway.models import SignerKey
from apps.users.models import SignerGrant


def grants_unchosen() -> QuerySet[SignerGrant]:
    """Return the grants of keys of other tenants' signers that nobody made, but an earlier version did."""
    keys = SignerKey.objects.filter(address=OuterRef("address"), removed_at=None)
    own = keys.filter(tenant=OuterRef("tenant"))
    others = keys.exclude(tenant=OuterRef("tenant"))
    rows = SignerGrant.objects.filter(Exists(others), ~Exists(own), is_by_hand=False, deleted_at=None)
    return rows.filter(tenant__deleted_at=None).select_related("tenant").order_by("tenant__name", "pk")
