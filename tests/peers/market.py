"""A miner of a running pool that takes deals over libp2p, a client with money and data cap, and its files."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from poolsite.filecoin.actors.market import AddBalanceParams
from poolsite.filecoin.actors.multisig import ProposeParams
from poolsite.filecoin.actors.verifreg import VerifierParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_to_json
from tests.acceptance.pool import RunningPool
from tests.deal_client import DealClient, Files
from tests.integration.pools import wait_until


@contextmanager
def files_served(data: dict[str, bytes]) -> Iterator[str]:
    """Serve a client's data by their paths; gives the server's URL."""
    Files.is_open.clear()
    Files.asked.clear()
    Files.data.update(data)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    Files.is_open.set()
    server.shutdown()
    server.server_close()


class Market(DealClient):
    """A miner of the devnet that takes deals over libp2p, and a client with money and data cap."""

    def __init__(self, pool: RunningPool, program: Path) -> None:
        super().__init__(pool, program, pool.wait_miner())
        pool.wait_all_up()
        faucet = str(pool.chain.call("WalletDefaultAddress"))
        pool.chain.call("WalletImport", key_to_json(self.key))
        grant = VerifierParams(address_parse(faucet), 1 << 30)
        by_root = ProposeParams(to=address_parse("f06"), value=0, method=2, params=to_cbor(grant))
        self.send(
            (faucet, self.client, 0, b"", 10 * FIL),
            (faucet, "f05", 2, to_cbor(AddBalanceParams(address_parse(self.miner))), FIL),
            (faucet, "f080", 2, to_cbor(by_root), 0),
        )
        self.send(
            (faucet, "f06", 4, to_cbor(VerifierParams(address_parse(self.client), 1 << 20)), 0),
            (self.client, "f05", 2, to_cbor(AddBalanceParams(address_parse(self.client))), FIL),
        )
        self.market_open()

    def send(self, *messages: tuple[str, str, int, bytes, int]) -> None:
        """Send messages from the node's own wallet, and wait for their receipts."""
        cids = [
            self.pool.chain.call(
                "MpoolPushMessage",
                {
                    **{"Version": 0, "To": to, "From": who, "Value": str(value), "Method": method},
                    **{"Nonce": 0, "GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0"},
                    "Params": base64.b64encode(params).decode(),
                },
                None,
            )["CID"]
            for who, to, method, params, value in messages
        ]
        for cid in cids:
            found: list[Any] = []

            def has_landed(cid: Any = cid, found: list[Any] = found) -> bool:
                found[:] = [self.pool.chain.call("StateSearchMsg", None, cid, -1, True)]
                return found[0] is not None

            wait_until(has_landed, within_s=60, what=f"{messages}")
            assert found[0]["Receipt"]["ExitCode"] == 0, (messages, found)
