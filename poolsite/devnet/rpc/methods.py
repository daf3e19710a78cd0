"""The method tables of /rpc/v0 and /rpc/v1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from poolsite.devnet.rpc import (
    actorstate,
    chain,
    collateral,
    fault_injection,
    finality,
    gas,
    market,
    message_search,
    miners,
    mining,
    mpool,
    net,
    randomness,
    sectors,
    state,
    verified,
    wallet,
)
from poolsite.devnet.rpc.eth.table import ALIASED, FILECOIN, ethereum_name

if TYPE_CHECKING:
    from poolsite.devnet.rpc.dispatch import Method

_BOTH: Final = (
    *chain.METHODS,
    *state.METHODS,
    *randomness.METHODS,
    *actorstate.METHODS,
    *market.METHODS,
    *miners.METHODS,
    *collateral.METHODS,
    *sectors.METHODS,
    *mpool.METHODS,
    *gas.METHODS,
    *wallet.METHODS,
    *mining.METHODS,
    *net.METHODS,
    *finality.METHODS,
    *verified.METHODS,
    *ALIASED,
    *FILECOIN,
)


def _table(methods: Iterable[Method]) -> dict[str, Method]:
    table = {f"Filecoin.{method.name}": method for method in methods}
    table |= {f"Devnet.{method.name}": method for method in fault_injection.METHODS}
    table |= {ethereum_name(method.name): method for method in ALIASED}
    table["rpc.discover"] = table["Filecoin.Discover"]
    return table


METHODS_V1: Final = _table(
    (
        *_BOTH,
        *message_search.METHODS_V1,
        *market.METHODS_V1,
        *randomness.METHODS_V1,
        *sectors.METHODS_V1,
        *net.METHODS_V1,
    )
)
METHODS_V0: Final = _table(
    (*_BOTH, *message_search.METHODS_V0, *randomness.METHODS_V0, *sectors.METHODS_V0, *net.METHODS_V0)
)
