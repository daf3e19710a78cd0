"""A deal and a payment voucher, as they are signed."""

from __future__ import annotations

from poolsite.filecoin.actors.market import DealProposal
from poolsite.filecoin.actors.paych import Merge, ModVerifyParams, SignedVoucher
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.signature import Signature

SIGNATURE = Signature(1, bytes(65))

DEAL = DealProposal(
    piece_cid=cid_of_cbor(b"piece"),
    piece_size=2048,
    verified_deal=False,
    client=id_address(1001),
    provider=id_address(1000),
    label="a label",
    start_epoch=100,
    end_epoch=400,
    storage_price_per_epoch=7,
    provider_collateral=50,
    client_collateral=3,
)

VOUCHER = SignedVoucher(
    channel=id_address(1500),
    time_lock_min=1,
    time_lock_max=0,
    secret_hash=b"hash",
    extra=ModVerifyParams(id_address(1501), 2, b"data"),
    lane=4,
    nonce=9,
    amount=10**18,
    min_settle_height=77,
    merges=(Merge(1, 2), Merge(2, 3)),
    signature=SIGNATURE,
)
