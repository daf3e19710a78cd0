"""A deal proposal with a value in each field."""

from __future__ import annotations

from poolsite.filecoin.actors.market import DealProposal
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.deals import (
    MIN_DURATION,
)

PROPOSAL = DealProposal(
    piece_cid=commd_cid(bytes(32)),
    piece_size=1 << 20,
    verified_deal=False,
    client=id_address(100),
    provider=id_address(1000),
    label="",
    start_epoch=1_000,
    end_epoch=1_000 + MIN_DURATION,
    storage_price_per_epoch=7,
    provider_collateral=50,
    client_collateral=11,
)
