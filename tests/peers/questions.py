"""What the node clients are asked, and by plain JSON what they should have heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.peers.programs import PeerRefused

ABSENT_SECTOR: Final = 999
NO_UNIT: Final = "00000000-0000-0000-0000-000000000000"

ALONE: Final = [
    "Version",
    "ChainHead",
    "ChainGetGenesis",
    "ChainGetFinalizedTipSet",
    "StateNetworkName",
    "StateGetNetworkParams",
    "MpoolGetConfig",
    "SyncState",
    "NetPeers",
    "NetAddrsListen",
    "ID",
    "EthBlockNumber",
    "EthChainId",
    "NetVersion",
]
"""Without parameters."""

OF_TIPSET: Final = [
    "ChainGetTipSet",
    "ChainGetMessagesInTipset",
    "ChainTipSetWeight",
    "StateNetworkVersion",
    "StateListMiners",
    "StateListActors",
    "StateMinerCreationDeposit",
    "StateCirculatingSupply",
    "StateMarketParticipants",
    "StateVMCirculatingSupplyInternal",
    "StateMarketDeals",
    "StateVerifiedRegistryRootKey",
]
"""About a tipset."""

OF_BLOCK: Final = [
    "ChainGetBlock",
    "ChainGetBlockMessages",
    "ChainGetParentMessages",
    "ChainGetParentReceipts",
    "ChainHasObj",
    "ChainReadObj",
]
"""About a block."""

OF_MINER: Final = [
    "StateGetActor",
    "StateReadState",
    "StateLookupRobustAddress",
    "StateMinerInfo",
    "StateMinerPower",
    "StateMinerProvingDeadline",
    "StateMinerDeadlines",
    "StateMinerFaults",
    "StateMinerRecoveries",
    "StateMinerAvailableBalance",
    "StateMinerActiveSectors",
    "StateMinerSectorCount",
    "StateMinerAllocated",
]
"""About a miner at a tipset."""


@dataclass(frozen=True)
class Node:
    """One place that answers as a node."""

    address: str
    path: str
    token: str

    def ask(self, method: str, *params: Any) -> Any:
        """Ask by plain JSON, a method of `Filecoin` unless it names its service.

        Raises PeerRefused with the server's words.
        """
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method if "." in method else f"Filecoin.{method}",
            "params": list(params),
        }
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = httpx.post(
            f"http://{self.address}{self.path}", json=body, headers=headers, timeout=60
        ).json()
        if "error" in answer:
            raise PeerRefused(answer["error"]["message"])
        return answer.get("result")


def asks(node: Node, worker: str, miner: str, sector: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Methods and their parameters, all about one tipset that stays."""
    height = node.ask("ChainHead")["Height"] - 3
    tipset = node.ask("ChainGetTipSetByHeight", height, None)
    key, parents, block = tipset["Cids"], tipset["Blocks"][0]["Parents"], tipset["Cids"][0]
    message, cid = transfer(worker), landed(node, worker, height)
    owner = node.ask("StateLookupID", worker, None)
    is_v0 = node.path.endswith("v0")
    yield from ((name, ()) for name in ALONE)
    yield from ((name, (key,)) for name in OF_TIPSET)
    yield from ((name, (block,)) for name in OF_BLOCK)
    yield from ((name, (miner, key)) for name in OF_MINER)
    for number in (sector, ABSENT_SECTOR):
        for name in ("SectorGetInfo", "SectorExpiration", "SectorPartition", "SectorPreCommitInfo"):
            yield f"State{name}", (miner, number, key)
        yield "StateMinerSectorAllocated", (miner, number, key)
    yield "ChainGetTipSetByHeight", (height, key)
    yield "ChainGetTipSetAfterHeight", (height, key)
    yield "ChainGetPath", (parents, key)
    yield "StateGetActor", (worker, key)
    yield "StateGetActor", ("f0999999", key)
    yield "StateLookupID", (worker, key)
    yield "StateAccountKey", (owner, key)
    yield "StateMinerInfo", ("f0999999", key)
    yield "StateMinerPartitions", (miner, 0, key)
    yield "StateMinerSectors", (miner, None, key)
    yield "StateMarketBalance", (worker, key)
    yield "StateVerifiedClientStatus", (worker, key)
    yield "StateDealProviderCollateralBounds", (2048, False, key)
    yield "StateMinerInitialPledgeForSector", (518400, 2048, 0, key)
    yield "StateCall", (message, key)
    yield "GasEstimateFeeCap", (message, 10, key)
    yield "GasEstimateGasPremium", (10, worker, 10_000_000, key)
    yield "GasEstimateGasLimit", (message, key)
    yield "GasEstimateMessageGas", (message, {"MaxFee": "0", "MsgUuid": NO_UNIT}, key)
    yield "GasEstimateMessageGas", ({**message, "To": "f0999999", "Method": 7}, {"MaxFee": "0"}, key)
    yield "MpoolPending", (key,)
    yield "MpoolGetNonce", (worker,)
    yield "MpoolSelect", (key, 0.5)
    yield "MpoolSelects", (key, [0.5])
    yield "WalletBalance", (worker,)
    yield "MinerGetBaseInfo", ("f01000", height + 1, key)
    yield "ChainGetMessage", (cid,)
    yield "StateReplay", (None, cid)
    yield "StateSearchMsg", (cid,) if is_v0 else (key, cid, -1, True)
    yield "StateWaitMsg", (cid, 1) if is_v0 else (cid, 1, -1, True)
    for source in ("Tickets", "Beacon"):
        yield f"StateGetRandomnessFrom{source}", (2, height - 2, "", key)
        yield f"StateGetRandomnessDigestFrom{source}", (height - 2, key)
        yield f"ChainGetRandomnessFrom{source}", (key, 2, height - 2, "")


def transfer(sender: str) -> dict[str, Any]:
    """A plain transfer."""
    fees = {"GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0"}
    rest = {"Version": 0, "Nonce": 0, "Value": "7", "Method": 0, "Params": None}
    return {"To": "f01000", "From": sender, **fees, **rest}


def landed(node: Node, sender: str, height: int) -> Any:
    """The CID of a message that the chain has executed below this height."""
    for at in range(height, 1, -1):
        block = node.ask("ChainGetTipSetByHeight", at, None)["Cids"][0]
        for entry in node.ask("ChainGetParentMessages", block) or []:
            if entry["Message"]["From"] == sender:
                return entry["Cid"]
    raise AssertionError(f"no message of {sender} below {height}")
