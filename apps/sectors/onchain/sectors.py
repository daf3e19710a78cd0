"""What the chain says about sectors: pre-commits, proven sectors, deposits, trial runs of messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apps.chain.errors import NodeRefused
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import ZERO, AttoFil
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.filecoin.cids import cid_from_json
from poolsite.filecoin.gas_estimates import unsigned_inclusion_gas
from poolsite.filecoin.message import Message, message_to_json

if TYPE_CHECKING:
    from apps.chain.node.client import ChainClient

ABSENT: Final = re.compile(r"pre-?commit info (does|is) not exists?|^(sector \d+|sector) not found")
"""Words by which older methods say that there is no such sector, where others give null.

Nothing else is taken for "no": a node that lacks the tipset says "block not found" and one without the
method "method not found", and reading that as "the pre-commit is gone" would send a second one.
"""


NO_PLACE: Final = "not due at any deadline"
"""Words by which a node says that a sector is in no partition."""

NO_RECEIPT: Final = -1
"""Exit code of a trial run that the node refused, or answered without a receipt."""


@dataclass(frozen=True, slots=True)
class OnPreCommit:
    """A pre-commit that waits for its proof."""

    epoch: int
    deposit: int
    seal_rand_epoch: int
    expiration: int
    sealed_cid: str
    seal_proof: int


NOT_THERE: Final = re.compile(r"can't find sector \d+|sector not found: \d+")
"""Words by which StateMinerSectors refuses a question that names a sector which is not there.

The second are forest's.  Source: fil-actor-states actors/miner/src/v18/sectors.rs load_sectors.
"""


@dataclass(frozen=True, slots=True)
class OnSector:
    """A sector that the chain knows as proven."""

    activation: int
    expiration: int
    initial_pledge: int
    sealed_cid: str
    seal_proof: int = 0
    key_cid: str = ""
    """Of the replica that it had before its update; empty if it was not updated."""
    verified_weight: int = 0
    """Of the data of verified clients in it: bytes times epochs."""


@dataclass(frozen=True, slots=True)
class TrialRun:
    """How a message would end now."""

    exit_code: int
    """An `ExitCode` or an actor's own, or `NO_RECEIPT`."""
    error: str
    """The actor's or the node's words, or what the code means; empty where nothing failed."""
    gas_used: int = 0
    """Gas units that it would use, its inclusion among them; 0 without a receipt."""

    @property
    def is_good(self) -> bool:
        """Return whether it would do what it is for."""
        return self.exit_code == 0


def precommits_read(
    client: ChainClient, address: str, numbers: Sequence[int], key: str
) -> dict[int, OnPreCommit | None]:
    """Return the pending pre-commits of these numbers; None where there is none."""
    rows = _rows_read(client, "StateSectorPreCommitInfo", address, numbers, key)
    return {number: None if row is None else _precommit(row) for number, row in rows.items()}


def sectors_read(
    client: ChainClient, address: str, numbers: Sequence[int], key: str
) -> dict[int, OnSector | None]:
    """Return the proven sectors of these numbers; None where there is none."""
    rows = _rows_read(client, "StateSectorGetInfo", address, numbers, key)
    return {number: None if row is None else _sector(row) for number, row in rows.items()}


def sectors_proven_read(
    client: ChainClient, address: str, numbers: Sequence[int], key: str
) -> dict[int, OnSector]:
    """Return those of these numbers that the chain has proven, asked for in one question where it has all."""
    rows = sector_rows_read(client, address, numbers, key)
    return {number: _sector(row) for number, row in rows.items()}


def sector_rows_read(
    client: ChainClient, address: str, numbers: Sequence[int], key: str
) -> dict[int, dict[str, Any]]:
    """Return the node's rows of those of these numbers that the chain has proven.

    A node refuses the whole question for one number that is not there: then each is asked for.
    """
    try:
        rows = client.state_miner_sectors(address, bitfield_to_json(bitfield_of(numbers)), key)
    except NodeRefused as refusal:
        if NOT_THERE.search(refusal.reason) is None:
            raise
        each = _rows_read(client, "StateSectorGetInfo", address, numbers, key)
        return {number: row for number, row in each.items() if row is not None}
    return {int(row["SectorNumber"]): row for row in rows}


def _sector(row: dict[str, Any]) -> OnSector:
    return OnSector(
        activation=int(row["Activation"]),
        expiration=int(row["Expiration"]),
        initial_pledge=int(row["InitialPledge"]),
        sealed_cid=_cid_text(row["SealedCID"]),
        seal_proof=int(row.get("SealProof", 0)),
        key_cid=_cid_text(row.get("SectorKeyCID")),
        verified_weight=int(row.get("VerifiedDealWeight") or 0),
    )


def _precommit(row: dict[str, Any]) -> OnPreCommit:
    return OnPreCommit(
        epoch=int(row["PreCommitEpoch"]),
        deposit=int(row["PreCommitDeposit"]),
        seal_rand_epoch=int(row["Info"]["SealRandEpoch"]),
        expiration=int(row["Info"]["Expiration"]),
        sealed_cid=_cid_text(row["Info"]["SealedCID"]),
        seal_proof=int(row["Info"]["SealProof"]),
    )


def _rows_read(
    client: ChainClient, method: str, address: str, numbers: Sequence[int], key: str
) -> dict[int, dict[str, Any] | None]:
    tipset = _key_json(key)
    answers = client.call_many([(method, [address, number, tipset]) for number in numbers])
    rows: dict[int, dict[str, Any] | None] = {}
    for number, answer in zip(numbers, answers, strict=True):
        if isinstance(answer, NodeRefused):
            if ABSENT.search(answer.reason) is None:
                raise answer
            rows[number] = None
        else:
            rows[number] = answer
    return rows


def partitions_of(
    client: ChainClient, address: str, numbers: Sequence[int], key: str, *, is_whole: bool = False
) -> dict[int, tuple[int, int]]:
    """Return deadline and partition of the sectors that have them.

    What the node refuses is left out; with `is_whole` only where it says that the sector has no place, and
    everything else raises NodeRefused.
    """
    tipset = _key_json(key)
    answers = client.call_many([("StateSectorPartition", [address, number, tipset]) for number in numbers])
    for answer in answers if is_whole else ():
        if isinstance(answer, NodeRefused) and NO_PLACE not in answer.reason:
            raise answer
    return {
        number: (int(answer["Deadline"]), int(answer["Partition"]))
        for number, answer in zip(numbers, answers, strict=True)
        if not isinstance(answer, NodeRefused)
    }


def deposits_read(client: ChainClient, address: str, infos: Sequence[dict[str, Any]], key: str) -> list[int]:
    """Return the deposit that each pre-commit (in JSON form) needs, margin included.  Raises NodeRefused."""
    tipset = _key_json(key)
    return _amounts(
        client.call_many([("StateMinerPreCommitDepositForPower", [address, info, tipset]) for info in infos])
    )


def pledge_read(client: ChainClient, *, duration: int, sector_size: int, verified: int = 0, key: str) -> int:
    """Return the pledge of a sector with so many verified bytes, margin included.  Raises NodeRefused."""
    tipset = _key_json(key)
    return int(client.call("StateMinerInitialPledgeForSector", duration, sector_size, verified, tipset))


def circulating_read(client: ChainClient, *, key: str) -> int:
    """Return the circulating supply by which the chain reckons fees.  Raises NodeRefused."""
    return int(client.call("StateVMCirculatingSupplyInternal", _key_json(key))["FilCirculating"])


def _amounts(answers: Sequence[Any]) -> list[int]:
    for answer in answers:
        if isinstance(answer, NodeRefused):
            raise answer
    return [int(answer) for answer in answers]


def messages_try(client: ChainClient, messages: Sequence[Message], key: str) -> list[TrialRun]:
    """Run messages of the pool's own on the state of `key` without sending them, each by itself."""
    tipset = _key_json(key)
    tried = [message_to_json(client.landing_form(message)) for message in messages]
    answers = client.call_many([("StateCall", [message, tipset]) for message in tried])
    trials = []
    for message, answer in zip(messages, answers, strict=True):
        if isinstance(answer, NodeRefused):
            trials.append(TrialRun(exit_code=NO_RECEIPT, error=answer.reason))
            continue
        receipt = answer.get("MsgRct")
        code = int(receipt["ExitCode"]) if receipt else NO_RECEIPT
        text = answer.get("Error") or (exit_code_text(code) if code else "")
        gas = int(receipt.get("GasUsed") or 0) + unsigned_inclusion_gas(message) if receipt else 0
        trials.append(TrialRun(exit_code=code, error=text, gas_used=gas))
    return trials


def trial_message(*, to: str, from_: str, value: int, method: int, params: bytes) -> Message:
    """Return a message for a trial: no nonce, no gas."""
    return Message(
        to=address_parse(to),
        from_=address_parse(from_),
        nonce=0,
        value=AttoFil(value),
        gas_limit=0,
        gas_fee_cap=ZERO,
        gas_premium=ZERO,
        method=method,
        params=params,
    )


def _cid_text(value: Any) -> str:
    cid = cid_from_json(value)
    return "" if cid is None else str(cid)


def _key_json(key: str | None) -> list[dict[str, str]]:
    return [{"/": word} for word in key.split()] if key else []
