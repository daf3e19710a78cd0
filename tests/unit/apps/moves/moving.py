"""A miner that is on its way: its chain, its signer, its prover with a store, its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from apps.chain.errors import NodeRefused
from apps.core import clock
from apps.core.errors import NotFound
from apps.miners.models import Miner
from apps.moves.rules.steps import Direction, Step
from apps.moves.selectors.moves import move_of
from apps.proving.models import CheckRun, SectorCheck
from apps.sectors.models import Expirations
from apps.sectors.services.changes.expirations import expirations_count
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.wire.jobs import JobKind
from poolsite.wire.policy import PolicyState, RuleForm
from tests import factories

HEIGHT = 1000
"""The head's: deadline 4 of the test network is open, from 1000 to 1010."""


@dataclass
class MovingChain:
    """Stands where the client of the nodes is; a lotus node, which signs its blocks itself."""

    proven: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Deadline to the partitions that the chain has a proof of."""
    has_key: bool = True
    deposits: dict[int, int] = field(default_factory=dict)
    """Sector number to the deposit of its pre-commit, attoFIL; no others are pre-committed."""

    def state_miner_deadlines(self, _address: str, _key: str) -> list[dict[str, Any]]:
        """Return six deadlines with what was posted in them."""
        return [
            {"PostSubmissions": bitfield_to_json(bitfield_of(self.proven.get(index, ())))}
            for index in range(6)
        ]

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Answer which pre-commits are there."""
        assert {method for method, _ in calls} == {"StateSectorPreCommitInfo"}
        info = {"SealRandEpoch": 900, "Expiration": 9_000, "SealedCID": None, "SealProof": 5}
        found = [self.deposits.get(params[1]) for _, params in calls]
        return [
            None if one is None else {"PreCommitEpoch": 990, "PreCommitDeposit": str(one), "Info": info}
            for one in found
        ]

    def nodes(self) -> list[MovingChain]:
        """Return the only node."""
        return [self]

    def call(self, method: str, *_given: Any) -> Any:
        """Answer what warm-up asks."""
        if method == "WalletHas":
            return self.has_key
        raise NodeRefused(-32601, f"method '{method}' not found")


def chain_served(monkeypatch: pytest.MonkeyPatch) -> MovingChain:
    """Serve such a chain, and a signer that says nothing of its policy."""
    chain = MovingChain()
    for place in ("moves.selectors.readings.page_client", "blocks.rounds.warm_up.chain_client"):
        monkeypatch.setattr(f"apps.{place}", lambda: chain)

    def refused(*_args: Any, **_named: Any) -> PolicyState:
        raise NotFound("its signer is away")

    monkeypatch.setattr("apps.moves.selectors.readings.policy_read", refused)
    return chain


def policy_allows(monkeypatch: pytest.MonkeyPatch, *to: str) -> None:
    """Have the signer's policy name these receivers."""
    rule = RuleForm(name="sealing and proving", methods=("miner.SubmitWindowedPoSt",), to=to)
    state = PolicyState(
        text="", digest="", number=1, rules=(rule,), sets=(), versions=(), editors=(), types=(), methods=()
    )
    monkeypatch.setattr("apps.moves.selectors.readings.policy_read", lambda *_args, **_named: state)


def moving(**data: Any) -> Miner:
    """A miner of alice's that another program has, with sectors in the windows of deadlines 4, 5 and 1."""
    factories.head(HEIGHT)
    wallet = factories.wallet()
    facts = {"worker": wallet.address, "owner": wallet.address, "live_sectors": 3, "works_until": 0}
    row = factories.miner(1000, **facts | data)
    for index, opens, number in ((4, 1000, 7), (5, 1010, 8), (1, 1030, 9)):
        due = factories.deadline(row, index, live=1, open_epoch=opens)
        factories.partition(due, all_sectors=[number], live=[number], active=[number])
    return row


def signed_for(of: Miner) -> None:
    """Have a signer connected that holds the miner's key."""
    factories.signer_connection(of.worker, seen_at=clock.now() + timedelta(hours=1))


def adopted(of: Miner, *, store: str = "s1", count: int = 3) -> None:
    """Give its sectors rows, and a prover that reads the store."""
    factories.store(factories.worker("prover-1", kinds=[JobKind.WINDOW_POST]), "s1")
    for number in (7, 8, 9)[:count]:
        proving(of, number, store=store)
    counted()


def proving(of: Miner, number: int, *, store: str) -> None:
    """Create the row of one of its sectors."""
    data: dict[str, Any] = {"state": "PROVING", "store": store, "expiration": 2_000_000}
    factories.sector(of, number=number, without_pledge=True, **data)


def counted() -> None:
    """Have its rows counted, as a task does every minute."""
    Expirations.objects.all().delete()
    expirations_count(now=clock.now())


def looked(of: Miner, *, bad: set[int], at: int) -> None:
    """Have a prover look at its three sectors, each in a deadline of its own."""
    for number, index in ((7, 4), (8, 5), (9, 1)):
        run = {"miner": of, "kind": "AHEAD", "state": "DONE", "deadline_index": index, "open_epoch": at}
        CheckRun.objects.create(**run, store="s1", count=1)
        found = {
            "deadline_index": index,
            "height": at,
            "checked_at": clock.now(),
            "is_good": number not in bad,
        }
        SectorCheck.objects.update_or_create(miner=of, number=number, store="s1", defaults=found)


def steps(of: Miner, way: Direction) -> dict[str, Step]:
    """Return the steps of a move by their keys."""
    of.refresh_from_db()
    return {step.key: step for step in move_of(of, SYSTEM, direction=way).steps}
