"""A market behind our address: where calls go whose header X-VENUS-API-NAMESPACE names it.

Node, messager, miners, access and the hub answer themselves; a market (droplet) is a program of its own,
which the operator registers here.
Source: ipfs-force-community/sophon-gateway proxy/, api/rpc_impl.go RegisterReverse.
"""

from __future__ import annotations

from typing import Final

from apps.gateway.models import ReverseAddress

DROPLET: Final = "DROPLET"
HOST_KEYS: Final = {"v0.IMarket": DROPLET, "v1.IMarket": DROPLET}
"""Header X-VENUS-API-NAMESPACE → host key."""


def reverse_of(host_key: str) -> str:
    """Return where a service is; empty where it is not registered."""
    return ReverseAddress.objects.filter(pk=host_key).values_list("url", flat=True).first() or ""
