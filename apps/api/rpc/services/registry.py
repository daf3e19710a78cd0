"""Which prefix is which service."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from apps.api.rpc.dispatcher import Service
from apps.api.rpc.services.damocles.methods import DAMOCLES
from apps.api.rpc.services.gateway.table import GATEWAY
from apps.api.rpc.services.messager.table import MESSAGER
from apps.api.rpc.services.miner import MINER_METHODS
from apps.api.rpc.services.miner_addresses import ADDRESS_METHODS
from apps.api.rpc.services.node.table import NODE
from apps.api.rpc.services.sector_numbers import NUMBER_METHODS

VERSIONS: Final = ("v0", "v1", "v2")
"""Paths /rpc/v0, /rpc/v1, /rpc/v2."""

SERVICES: Final[dict[str, Service]] = {
    "Filecoin": replace(NODE, methods={**NODE.methods, **MINER_METHODS, **ADDRESS_METHODS, **NUMBER_METHODS}),
    "Gateway": GATEWAY,
    "Message": MESSAGER,
    "Venus": DAMOCLES,
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
