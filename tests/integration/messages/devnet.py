"""A pool on the small chain, driven head by head."""

from __future__ import annotations

from apps.users.services.grants import signer_grant
from poolsite.devnet.node import Devnet
from poolsite.filecoin.keys import KeyInfo, key_address
from tests.messaging import Follows
from tests.people import tenant

KINDS = ("secp256k1", "bls")


class DevnetPool(Follows):
    """The pool on a devnet that mines when the test says so."""

    def __init__(self, node: Devnet, url: str, keys: list[KeyInfo]) -> None:
        self.node = node
        super().__init__(url)
        self.addresses = []
        for key in keys:
            address = str(key_address(key))
            self.keyring.keys[address] = key
            signer_grant(tenant=tenant("alice"), address=address)
            self.addresses.append(address)

    def step(self, tipsets: int = 1) -> None:
        """Mine, and do what the heartbeat does on each head."""
        for _ in range(tipsets):
            self.ticks += 1
            self.node.mine_one()
            self.settle()

    def nonces(self, address: str) -> list[int]:
        """Read the nonces that landed off the chain itself."""
        found: list[int] = []
        head = self.client.chain_head()
        while head.height:
            rows = self.client.chain_get_parent_messages(head.cids[0])
            found = [message.nonce for _, message in rows if str(message.from_) == address] + found
            head = self.client.chain_get_tipset(head.parent_key)
        return found
