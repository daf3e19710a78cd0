"""What runs at each head of the large pool; the node stands in this process and hands out JSON text."""

from __future__ import annotations

import base64
import importlib
import json
from functools import cache
from typing import Any, Final

from tests.bench.scale_pool import (
    COMM_R,
    DEADLINES,
    EXPIRATION,
    HEIGHT,
    MINERS,
    PLEDGE,
    SECTORS,
    WALLETS,
    Figure,
    cpu_ms,
    pool,
)


class Node:
    """The miners' actors, deadlines and partitions, as JSON text; counts what is asked and read of it."""

    def __init__(self) -> None:
        self.calls = self.read = self.requests = 0
        self.texts: dict[tuple[str, str, int], str] = {}
        self.objects: dict[str, str] = {}
        self.moves = 0
        self.bitfields = importlib.import_module("poolsite.filecoin.bitfield")
        self.cbor = importlib.import_module("poolsite.filecoin.cbor")
        self.cids = importlib.import_module("poolsite.filecoin.cids")
        self.dues: dict[str, list[Any]] = {}
        for at, miner in enumerate(pool().miners):
            self.dues[miner.address] = [self.cid_new() for _ in range(DEADLINES)]
            self.texts.update({(name, miner.address, 0): text for name, text in FIXED.items()})
            for index in range(DEADLINES):
                numbers = [n for n in range(at, SECTORS, MINERS) if n // MINERS % DEADLINES == index]
                self.partition_set(miner.address, index, numbers)
            self.state_set(miner.address)

    def cid_new(self) -> Any:
        """Make up another CID."""
        self.moves += 1
        return self.cids.cid_of_cbor(self.cbor.encode(self.moves))

    def state_set(self, address: str) -> None:
        """Give a miner's actor another state root."""
        root = str(self.cid_new())
        body = {"Code": {"/": root}, "Head": {"/": root}, "Nonce": 0, "Balance": "1"}
        self.texts["StateGetActor", address, 0] = json.dumps(body)
        data = self.cbor.encode([self.dues[address]])
        due = str(self.cids.cid_of_cbor(data))
        self.objects[due] = json.dumps(base64.b64encode(data).decode())
        self.texts["StateReadState", address, 0] = json.dumps({"State": {"Deadlines": {"/": due}}})

    def partition_set(self, address: str, index: int, numbers: list[int]) -> None:
        """Set the sectors of a deadline's only partition, all of them active."""
        runs = self.bitfields.bitfield_to_json(self.bitfields.bitfield_of(numbers))
        names = ("AllSectors", "LiveSectors", "ActiveSectors", "FaultySectors", "RecoveringSectors")
        fields = {name: runs if name in names[:3] else [0] for name in names}
        self.texts["StateMinerPartitions", address, index] = json.dumps([fields])
        self.dues[address][index] = self.cid_new()

    def call_many(self, calls: Any) -> list[Any]:
        """Answer, reading JSON as the client does."""
        self.requests += 1
        return [self.answer(method, params) for method, params in calls]

    def call(self, method: str, link: Any) -> Any:
        """Answer ChainReadObj."""
        self.requests += 1
        return self.answer(method, [link["/"]])

    def state_account_key(self, address: str, _key: str) -> str:
        """Answer that an address is its own key."""
        self.calls += 1
        return address

    def mpool_pending(self) -> list[Any]:
        """Answer that no message waits."""
        return []

    def chain_get_parent_messages(self, _block: str) -> list[Any]:
        """Answer that a head brought no message."""
        return []

    def randomness(self, *_asked: Any, **_more: Any) -> bytes:
        """Draw the same each time."""
        return bytes(31) + b"\1"

    state_get_randomness_from_tickets = state_get_randomness_from_beacon = randomness

    def state_miner_sectors(self, _address: str, numbers: Any, _key: str) -> list[dict[str, Any]]:
        """Answer what the chain has of sectors: the same as their rows."""
        fields = {
            "SealProof": 8,
            "SealedCID": {"/": str(self.cids.commr_cid(COMM_R))},
            "Activation": 0,
            "Expiration": EXPIRATION,
            "InitialPledge": str(PLEDGE),
        }
        return [{"SectorNumber": number, **fields} for number in self.bitfields.bitfield_from_json(numbers)]

    def answer(self, method: str, params: Any) -> Any:
        """Answer one call."""
        index = params[1] if method == "StateMinerPartitions" else 0
        if method == "ChainReadObj":
            text = self.objects[params[0]]
        elif method == "StateGetActor":  # of a wallet, if it is no miner
            text = self.texts.get((method, params[0], 0), WALLET)
        elif method == "StateReadState":  # of the network's own actors, if it is no miner
            text = self.texts.get((method, params[0], 0), ESTIMATE)
        else:
            text = self.texts[method, params[0], index]
        self.calls += 1
        self.read += len(text)
        return json.loads(text)


WINDOW: Final = {
    "WPoStPeriodDeadlines": 48,
    "WPoStProvingPeriod": 2880,
    "WPoStChallengeWindow": 60,
    "WPoStChallengeLookback": 20,
    "FaultDeclarationCutoff": 70,
}
FIXED: Final = {
    name: json.dumps(body)
    for name, body in {
        "StateMinerInfo": {
            "Owner": "f0100",
            "Worker": "f0101",
            "ControlAddresses": None,
            "WindowPoStProofType": 8,
            "SectorSize": 34359738368,
            "WindowPoStPartitionSectors": 2349,
        },
        "StateMinerPower": {"MinerPower": {"RawBytePower": "1", "QualityAdjPower": "1"}, "HasMinPower": True},
        "StateMinerAvailableBalance": "1",
        "StateMinerSectorCount": {"Live": 2500, "Active": 2500, "Faulty": 0},
        "StateMinerProvingDeadline": {
            "CurrentEpoch": HEIGHT,
            "PeriodStart": HEIGHT - 30,
            "Index": 0,
            "Open": HEIGHT - 30,
            "Close": HEIGHT + 30,
            "Challenge": HEIGHT - 50,
            "FaultCutoff": HEIGHT - 100,
            **WINDOW,
        },
    }.items()
}
"""What a node says of a miner beside what moves."""
ESTIMATE: Final = json.dumps(
    {
        "State": {
            name: {"PositionEstimate": "1", "VelocityEstimate": "1"}
            for name in ("ThisEpochRewardSmoothed", "ThisEpochQAPowerSmoothed")
        }
    }
)
"""What it says of reward and power."""
WALLET: Final = json.dumps({"Code": {"/": ""}, "Head": {"/": ""}, "Nonce": 7, "Balance": "1000"})
"""What it says of each wallet."""


@cache
def node() -> Node:
    """The one node."""
    return Node()


@cache
def followed() -> int:
    """Follow the miners once, so that what is measured is what changes."""
    follow()
    return 1


def follow() -> None:
    """Do what the next head makes due for all miners: their state, active sectors, windows and forecasts.

    It is no miner's turn for a comparison.
    """
    now, one = pool().factories.now(), importlib.import_module
    policy = one("poolsite.filecoin.policy").network_by_name("mainnet")
    heights[0] += 1
    head = one("apps.chain.models").Head(height=heights[0], key="", base_fee=100)
    work = one("apps.sectors.selectors.sealing_context").sealing_context_make(
        client=node(), network=policy, head=head, now=now
    )
    rows, roots_read = one("apps.miners.selectors.miners"), one("apps.miners.selectors.chain_roots")
    look = one("apps.proving.rules.proving_context")
    one("apps.miners.services.refresh").miners_refresh(
        list(rows.miners_active()), client=node(), height=head.height, key="", params=policy.proving
    )
    one("apps.sectors.services.active").active_follow(roots_read.roots_active(), work=work)
    one("apps.sectors.services.active").deadlines_fill(work)
    roots = roots_read.roots_active()
    seen = look.ProvingContext(client=node(), network=policy, head=head, now=work.now)
    written = one("apps.proving.services.deadlines").deadlines_follow(roots, context=seen)
    miners = [row.miner for row in roots]
    one("apps.proving.selectors.faults").miners_faulty(miners)
    one("apps.proving.services.forecast").forecasts_follow(miners, context=seen, written=written)


EACH_HEAD_MS: Final = 1_400
"""CPU of a head when all sectors of all miners were read and compared at each."""
heights = [HEIGHT]
"""The head that was followed last."""


def head_unchanged() -> Figure:
    """CPU of a head at which no miner's state moved."""
    followed()
    name = f"{MINERS} miners unchanged, CPU of a head"
    return Figure(name, cpu_ms(follow), "ms", limit=200, before=EACH_HEAD_MS)


def head_fault() -> Figure:
    """CPU of a head at which one miner lost a partition, or has it back."""
    followed()
    address, lost = pool().miners[3].address, [False]
    numbers = [n for n in range(3, SECTORS, MINERS) if n // MINERS % DEADLINES == 5]

    def change() -> None:
        lost[0] = not lost[0]
        node().partition_set(address, 5, [] if lost[0] else numbers)
        node().state_set(address)
        follow()

    return Figure("a partition of one miner lost or back, CPU of a head", cpu_ms(change), "ms", limit=200)


def head_all() -> Figure:
    """CPU of a head at which every miner's state moved, by a message to each."""
    followed()

    def change() -> None:
        for miner in pool().miners:
            node().state_set(miner.address)
        follow()

    return Figure(f"all {MINERS} miners moved, CPU of a head", cpu_ms(change), "ms", limit=200)


def head_proved() -> Figure:
    """CPU of a head at which one deadline of every miner moved, by a proof of each."""
    followed()

    def change() -> None:
        for at, miner in enumerate(pool().miners):
            numbers = [n for n in range(at, SECTORS, MINERS) if n // MINERS % DEADLINES == 7]
            node().partition_set(miner.address, 7, numbers)
            node().state_set(miner.address)
        follow()

    return Figure(f"a deadline of all {MINERS} miners moved, CPU of a head", cpu_ms(change), "ms", limit=200)


def head_calls() -> Figure:
    """Calls to the node at a head at which no miner's state moved."""
    followed()
    before = node().calls
    follow()
    name = f"{MINERS} miners unchanged, calls to the node"
    return Figure(name, node().calls - before, "", before=7 * MINERS)


def head_read() -> Figure:
    """Read of the node at a head at which one miner's state moved."""
    followed()
    before = node().read
    node().state_set(pool().miners[3].address)
    follow()
    read_kib = (node().read - before) / 1024
    return Figure("one miner moved, read of the node at a head", read_kib, "KiB", before=46 * 1024)


def head_compared() -> Figure:
    """CPU of a head at which all rows of one miner are compared with the chain."""
    followed()
    first, active = pool().miners[3], importlib.import_module("apps.sectors.models").ActiveSectors.objects

    def compare() -> None:
        active.filter(miner=first).update(compared_height=None)
        follow()
        assert active.get(miner=first).compared_height == heights[0]

    name = f"one miner's {SECTORS // MINERS:,} rows compared, CPU of a head"
    return Figure(name, cpu_ms(compare), "ms", limit=200, before=EACH_HEAD_MS)


def wallets_turn() -> int:
    """Do what a head makes due for wallets; returns how many calls that took."""
    before, one = node().calls, importlib.import_module
    one("apps.wallets.services.refresh").wallets_refresh(client=node(), now=pool().factories.now())
    return node().calls - before


def wallets_calls() -> Figure:
    """Calls to the node for the wallets at a head."""
    node()
    wallets = importlib.import_module("apps.wallets.models").Wallet.objects
    wallets.update(balance=1000, nonce=7, checked_at=pool().factories.now())  # as the node has them
    name = f"wallets_refresh of {WALLETS:,}, calls at a head"
    return Figure(name, wallets_turn(), "", limit=WALLETS / 50, before=WALLETS)


def wallets_cpu() -> Figure:
    """CPU of the wallets at a head at which one of them moved."""
    address = importlib.import_module("apps.wallets.models").Wallet.objects.latest("pk").address
    moved = importlib.import_module("apps.wallets.services.refresh").moved_wallets_mark

    def turn() -> None:
        moved([address], at=pool().factories.now())
        wallets_turn()

    return Figure(f"wallets_refresh of {WALLETS:,}, CPU of a head", cpu_ms(turn), "ms", limit=200)
