"""A client with data cap and a miner on a small chain."""

from __future__ import annotations

from poolsite.devnet.actors.ledger import DATACAP, VERIFREG, VERIFREG_ROOT
from poolsite.devnet.actors.verified.allocations import TERM_MIN
from poolsite.devnet.actors.verified.claims import TERM_MAX
from poolsite.filecoin.actors.allocations import (
    DATACAP_PER_BYTE,
    AllocationRequest,
    AllocationRequests,
)
from poolsite.filecoin.actors.datacap import Method as TokenMethod
from poolsite.filecoin.actors.datacap import TransferParams
from poolsite.filecoin.actors.miner_sectors import PieceActivationManifest, VerifiedAllocationKey
from poolsite.filecoin.actors.multisig import ProposeParams, ProposeReturn
from poolsite.filecoin.actors.verifreg import (
    Method,
    VerifierParams,
)
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from tests.naive.pieces import data_commitment
from tests.unit.devnet.people import OWNER, STRANGER, Person, chain
from tests.unit.devnet.people import send as send_estimated
from tests.unit.devnet.sealing import small_miner

REGISTRY, TOKEN, ROOT = (id_address(number) for number in (VERIFREG, DATACAP, VERIFREG_ROOT))

SIZE = 2048

DATA = b"".join(bytes([number, 7]) + bytes(30) for number in range(SIZE // 32))
"""A whole sector of padded data."""

PIECE = commd_cid(data_commitment(DATA))

GRANT = 1 << 20


def send(node, who, to, **fields):
    """With gas of one's own: a refusal shall land."""
    return send_estimated(node, who, to, gas_limit=500_000_000, **fields)


class World:
    """A client with data cap and a miner."""

    def __init__(self):
        self.node = chain()
        self.miner = small_miner(self.node)
        faucet = self.node.wallet.default
        self.root = Person(self.node.wallet.key(faucet), faucet)

    @property
    def state(self):
        return self.node.chain.state_after(self.node.head.key)

    def id_of(self, who):
        return self.state.get("addresses", bytes(who.address)).id

    def by_root(self, method, params):
        wish = ProposeParams(to=REGISTRY, value=0, method=method, params=params)
        receipt = send(self.node, self.root, ROOT, method=2, params=to_cbor(wish))
        assert receipt.exit_code == 0
        return from_cbor(ProposeReturn, receipt.return_).code

    def verifier(self, who=OWNER, allowance=GRANT):
        params = to_cbor(VerifierParams(who.address, allowance))
        return self.by_root(Method.ADD_VERIFIER, params)

    def client(self, who=STRANGER, allowance=SIZE * 4, by=OWNER):
        params = to_cbor(VerifierParams(who.address, allowance))
        return send(self.node, by, REGISTRY, method=Method.ADD_VERIFIED_CLIENT, params=params)

    def request(self, **changes):
        fields = {
            "provider": self.miner.id,
            "data": PIECE,
            "size": SIZE,
            "term_min": TERM_MIN,
            "term_max": TERM_MAX,
            "expiration": self.node.head.height + 100_000,
        }
        return AllocationRequest(**{**fields, **changes})

    def allocate(self, *requests, extensions=(), amount=None, to=REGISTRY, who=STRANGER):
        size = sum(request.size for request in requests)
        wish = TransferParams(
            to=to,
            amount=(size if amount is None else amount) * DATACAP_PER_BYTE,
            operator_data=to_cbor(AllocationRequests(requests, tuple(extensions))),
        )
        method = int(TokenMethod.TRANSFER_EXPORTED)
        return send(self.node, who, TOKEN, method=method, params=to_cbor(wish))

    def seal(self, number, allocation=None, data=DATA):
        """A pre-committed sector with its proof and its pieces."""
        assert self.miner.precommit(self.miner.seal(number, self.node.head.height - 1, data)).exit_code == 0
        self.miner.wait_seed(number)
        key = None
        if allocation is not None:
            key = VerifiedAllocationKey(self.id_of(STRANGER), allocation)
        piece = PieceActivationManifest(PIECE, SIZE, key, ())
        return {number: self.miner.porep(number)}, {number: (piece,)}
