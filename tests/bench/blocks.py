"""A round of block production for 200 miners that all win: from base info to submission.

The node, the signer and the provers answer at once: what is measured is ours, with the rows in PostgreSQL.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import django

from tests.servers import TEMPLATE, PostgresServer

MINERS: Final = 200
FIRST_MINER: Final = 5_000
LIMIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str
    limit: float | None = None


@cache
def database() -> None:
    """A database of its own."""
    server = PostgresServer()
    atexit.register(server.stop)
    server.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "poolsite.settings.test")
    django.setup()
    connections = importlib.import_module("django.db").connections
    row = connections["default"].settings_dict
    row["HOST"], row["NAME"] = str(server.sockets), TEMPLATE


def keys() -> Any:
    """The one worker key that all the miners have."""
    module = importlib.import_module("poolsite.filecoin.keys")
    return module.key_generate(module.KEY_BLS, random_bytes=lambda size: bytes([7]) * size)


class InstantNode:
    """Answers what a round asks, in the forms of a node; takes every block."""

    def __init__(self, key: Any, header: Any) -> None:
        self.key = key
        self.header = header
        self.taken: set[tuple[str, int]] = set()
        tipset = importlib.import_module("poolsite.filecoin.tipset")
        self.tipset = tipset.tipset_to_json(tipset.tipset_new([header]))
        self.address = str(importlib.import_module("poolsite.filecoin.keys").key_address(key))

    def call(self, method: str, params: Any, *, timeout_s: float | None = None) -> Any:
        """Answer."""
        return getattr(self, method)(*params)

    def ChainHead(self) -> Any:
        return self.tipset

    def MinerGetBaseInfo(self, miner: str, epoch: int, _key: Any) -> Any:
        entry = {"Round": epoch, "Data": base64.b64encode(bytes([epoch % 251]) * 96).decode()}
        sector = {"SealProof": 5, "SectorNumber": 1, "SectorKey": None, "SealedCID": self.tipset["Cids"][0]}
        return {
            "MinerPower": str(1 << 40),
            "NetworkPower": str(1 << 40),
            "Sectors": [sector],
            "WorkerKey": self.address,
            "SectorSize": 2048,
            "PrevBeaconEntry": entry,
            "BeaconEntries": [entry],
            "EligibleForMining": True,
        }

    def MpoolSelects(self, _key: Any, qualities: list[float]) -> Any:
        return [[] for _ in qualities]

    def MinerCreateBlock(self, template: Any) -> Any:
        codec = importlib.import_module("poolsite.filecoin.codec")
        block = importlib.import_module("poolsite.filecoin.block")
        address = importlib.import_module("poolsite.filecoin.address")
        header = replace(
            self.header,
            miner=address.address_parse(template["Miner"]),
            height=template["Epoch"],
            parents=tuple(self.header_key()),
            ticket=codec.from_json(block.Ticket, template["Ticket"]),
            election_proof=codec.from_json(block.ElectionProof, template["Eproof"]),
            block_sig=None,
        )
        return codec.to_json(block.BlockMsg(header, (), ()))

    def header_key(self) -> list[Any]:
        cids = importlib.import_module("poolsite.filecoin.cids")
        return [cids.cid_from_json(one) for one in self.tipset["Cids"]]

    def SyncSubmitBlock(self, block: Any) -> None:
        self.taken.add((block["Header"]["Miner"], block["Header"]["Height"]))

    lacks: frozenset[str] = frozenset()
    tired_until = 0.0
    url = "instant"


class InstantProviders:
    """Signs as a wallet does, without a socket between; proves nothing, at once."""

    def __init__(self, key: Any) -> None:
        self.key = key
        self.template = importlib.import_module("apps.blocks.rounds.template")

    async def sign(self, _worker: Any, to_sign: bytes, *, meta_type: str, **_: Any) -> Any:
        """Sign; what draws randomness is hashed first."""
        module = importlib.import_module("poolsite.filecoin.keys")
        payloads = importlib.import_module("workers.signer.payloads")
        if meta_type == "block":
            payload = to_sign
        else:
            params = payloads._text_map(to_sign)
            draw = importlib.import_module("poolsite.filecoin.randomness").draw_randomness
            payload = draw(params["Rbase"], params["Pers"], params["Round"], params["Entropy"])
        return await asyncio.to_thread(module.key_sign, self.key, payload)

    async def prove(self, *_: Any, **__: Any) -> Any:
        """Return some bytes."""
        return (importlib.import_module("poolsite.filecoin.block").PoStProof(0, bytes(192)),)


def measured() -> float:
    """Return the seconds of one round."""
    miners = miners_make(FIRST_MINER, MINERS, account="alice")
    blocks = importlib.import_module("apps.blocks.models")
    devnet = importlib.import_module("poolsite.devnet.node")
    key = keys()
    chain = devnet.Devnet(":memory:", network="test")
    node = InstantNode(key, chain.mine_one().blocks[0])
    chain.close()
    seconds = asyncio.run(round_run(node, InstantProviders(key), miners))
    epoch = node.tipset["Height"] + 1
    made = blocks.Block.objects.filter(height=epoch).count()
    submitted = blocks.Round.objects.filter(epoch=epoch, state="SUBMITTED").count()
    importlib.import_module("django.db").connections.close_all()
    if made != submitted or made < MINERS * 0.95 or len(node.taken) != made:
        raise RuntimeError(
            f"{made} blocks, {submitted} submitted of {MINERS} miners, {len(node.taken)} taken"
        )
    return seconds


def miners_make(first: int, count: int, *, account: str) -> list[Any]:
    """Write the rows of so many miners of one worker key; gives them as the service knows them."""
    database()
    factories = importlib.import_module("tests.factories")
    selectors = importlib.import_module("apps.blocks.selectors.mining_miners")
    grants = importlib.import_module("apps.users.services.grants")
    worker = str(importlib.import_module("poolsite.filecoin.keys").key_address(keys()))
    importlib.import_module("django.db").connection.ensure_connection()
    rows = [factories.miner(first + number, worker=worker) for number in range(count)]
    for row in rows:  # a height is reserved only while blocks are wanted for the miner
        grants.miner_grant(tenant=row.tenant, actor_id=row.actor_id)
    return [selectors.MiningMiner(row, account, True, account) for row in rows]


async def round_run(node: Any, providers: Any, miners: list[Any]) -> float:
    """Let all miners try their luck; the epoch's budget is not the limit here."""
    work = importlib.import_module("apps.blocks.rounds.miner_round")
    shared = importlib.import_module("apps.blocks.rounds.context")
    nodes = importlib.import_module("apps.blocks.rounds.nodes").BlockNodes([node], submit=[node])
    timing = importlib.import_module("apps.blocks.rounds.timing")
    selection = importlib.import_module("apps.blocks.rounds.selection")
    base, now = await nodes.head(), time.time()
    times = timing.RoundTimes(origin=now - 1, block_time=now, sign_until=now + 60, submit_until=now + 60)
    context = shared.RoundContext(
        epoch=base.height + 1,
        base=base,
        times=times,
        nodes=nodes,
        providers=providers,
        selection=selection.MessageSelection(nodes, drawing=len(miners), gather_s=0.1, until=now + 60),
        network_version=27,
    )
    begin = time.monotonic()
    await asyncio.gather(*(work.MinerRound(one, context).run() for one in miners))
    return time.monotonic() - begin


CASES: Final[dict[str, Callable[[], float]]] = {
    f"a round of {MINERS} miners that all win, base info to submission": measured
}


def cases() -> list[str]:
    """Return what is measured."""
    return list(CASES)


def run(case: str) -> Figure:
    """Measure one case."""
    return Figure(case, CASES[case](), "s", limit=LIMIT_S)
