"""What the chain says about a miner's addresses, and which change of them is pending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.chain.node.client import ChainClient
from apps.core.marked_texts import gettext
from apps.miners.errors import MinerNotReady
from apps.miners.models import Miner
from apps.miners.rules.deal_addresses import multiaddrs_named
from apps.miners.states import MinerState
from poolsite.filecoin.address import address_parse


@dataclass(frozen=True, slots=True)
class PendingBeneficiary:
    """A proposed beneficiary, and who has approved."""

    address: str
    quota: int
    expiration: int
    by_beneficiary: bool
    by_nominee: bool


@dataclass(frozen=True, slots=True)
class MinerAddresses:
    """What the chain says about a miner's addresses at the newest head, all as f0."""

    owner: str
    worker: str
    control: tuple[str, ...]
    beneficiary: str
    quota: int
    used_quota: int
    expiration: int
    new_worker: str
    """Empty: no change is pending."""
    worker_epoch: int
    """From here on the new worker can be confirmed."""
    pending_owner: str
    pending_beneficiary: PendingBeneficiary | None
    peer_id: str
    """Of the node that takes its deals, in base58; empty: none is announced."""
    multiaddrs: tuple[str, ...]
    """Where clients reach that node; in hexadecimal what is no multiaddress that is known here."""


def addresses_read(miner: Miner, *, client: ChainClient) -> MinerAddresses:
    """Return the addresses that a node knows.  Raises MinerNotReady, NodeRefused, NodeUnavailable."""
    if miner.state != MinerState.ACTIVE:
        raise MinerNotReady(
            gettext("{miner} does not exist on the chain yet").format(miner=miner), field="miner"
        )
    info = client.state_miner_info(miner.address)
    term, change = info.get("BeneficiaryTerm") or {}, info.get("PendingBeneficiaryTerm")
    return MinerAddresses(
        owner=_named(info["Owner"]),
        worker=_named(info["Worker"]),
        control=tuple(map(_named, info["ControlAddresses"] or ())),
        beneficiary=_named(info.get("Beneficiary") or info["Owner"]),
        quota=int(term.get("Quota", 0)),
        used_quota=int(term.get("UsedQuota", 0)),
        expiration=int(term.get("Expiration", 0)),
        new_worker=_named(info.get("NewWorker")),
        worker_epoch=int(info.get("WorkerChangeEpoch", -1)),
        pending_owner=_named(info.get("PendingOwnerAddress")),
        pending_beneficiary=None
        if not change
        else PendingBeneficiary(
            address=_named(change["NewBeneficiary"]),
            quota=int(change["NewQuota"]),
            expiration=int(change["NewExpiration"]),
            by_beneficiary=bool(change["ApprovedByBeneficiary"]),
            by_nominee=bool(change["ApprovedByNominee"]),
        ),
        peer_id=info.get("PeerId") or "",
        multiaddrs=multiaddrs_named(info.get("Multiaddrs")),
    )


def _named(value: Any) -> str:
    """Return an address with prefix f; empty for none, which nodes write as null or `<empty>`."""
    is_there = isinstance(value, str) and value.startswith(("f", "t"))
    return str(address_parse(value)) if is_there else ""
