"""Which prefix is which service: one line per room."""

from __future__ import annotations

from typing import Final

from apps.api.rpc import chain_table, gateway, messager
from apps.api.rpc.dispatch import Service

VERSIONS: Final = ("v0", "v1", "v2")
"""Paths /rpc/v0, /rpc/v1, /rpc/v2."""

SERVICES: Final[dict[str, Service]] = {
    "Filecoin": chain_table.SERVICE,
    "Gateway": Service(gateway.METHODS, {"v1": gateway.METHODS_V1}),
    "Message": Service(messager.METHODS, {}),
}
"""Prefix of a method's name → its table."""

NAMESPACES: Final[dict[str, str]] = {
    "gateway.IGateway": "Gateway",
    "messager.IMessager": "Message",
    "v0.FullNode": "Filecoin",
    "v1.FullNode": "Filecoin",
    "miner.MinerAPI": "Filecoin",
}
"""Header X-VENUS-API-NAMESPACE → prefix; unknown values leave the choice to the method's prefix."""
