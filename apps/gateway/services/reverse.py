"""Registering a market that is reached through our address."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from apps.gateway.errors import BadHostKey
from apps.gateway.models import ReverseAddress
from apps.gateway.selectors.reverse import HOST_KEYS
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record

OWN_HOST_KEYS: Final = ("AUTH", "GATEWAY", "MESSAGER", "MINER", "VENUS")
"""Host keys of what this site answers itself."""


@transaction.atomic
def reverse_set(*, host_key: str, url: str, principal: Principal) -> None:
    """Register where a service is; an empty address removes it.  Raises BadHostKey."""
    if host_key in OWN_HOST_KEYS:
        raise BadHostKey(f"host key({host_key}) : this site answers itself", field="host_key")
    if host_key not in HOST_KEYS.values():
        raise BadHostKey(f"host key({host_key[:40]}) : unknown", field="host_key")
    if url:
        ReverseAddress.objects.update_or_create(pk=host_key, defaults={"url": url})
    else:
        ReverseAddress.objects.filter(pk=host_key).delete()
    audit_record(principal=principal, action="gateway.reverse", target=host_key, after={"url": url})
