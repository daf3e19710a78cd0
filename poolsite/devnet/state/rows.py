"""The rows of the chain's state: what each actor remembers.

The real chain keeps the same facts in HAMTs and AMTs; here each is a row of a table.  Source:
builtin-actors actors/{init,account,power,reward,miner,market,multisig}/src/state.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.devnet.state.deal_rows import (
    DEAL_EVENTS,
    DEAL_STATES,
    DEALS,
    PENDING_DEALS,
    Deal,
    DealEvents,
    DealNumber,
    DealState,
    MarketState,
    SectorDeals,
)
from poolsite.devnet.state.records import Big  # noqa: TC001  # row codecs read the annotations
from poolsite.filecoin.address import Address  # noqa: TC001  # row codecs read the annotations
from poolsite.filecoin.cids import Cid  # noqa: TC001  # row codecs read the annotations

ACTORS: Final = "actors"
"""Actor id to `Actor`."""
ADDRESSES: Final = "addresses"
"""Bytes of a robust address to `ActorId`."""
SYSTEM: Final = "system"
"""The singletons: "init", "power", "reward", "verifreg", "market", "failures"."""
CLAIMS: Final = "claims"
"""Miner's id to `Claim`."""
MINERS: Final = "miners"
"""Miner's id to `Miner`."""
CRON: Final = "cron"
"""Epoch to `CronEvents`."""
ESCROWS: Final = "escrows"
"""Actor id to `Escrow` of the market actor."""
MULTISIGS: Final = "multisigs"
"""Actor id to `Multisig`."""
VERIFIERS: Final = "verifiers"
"""Actor id to the `DataCap` in bytes that it may hand out."""
DATACAPS: Final = "datacaps"
"""Actor id to the `DataCap` that it has, in units of the token."""

REMOVALS: Final = "datacapremovals"
"""(Verifier's id, client's id) to the `Count` of the verifier's requests to take data cap."""


def allowances_of(owner: int) -> str:
    """Table of what others may spend of somebody's data cap: operator's id to `DataCap`."""
    return f"allowances/{owner}"


def allocations_of(client: int) -> str:
    """Table of a client's allocations of verified data, by number."""
    return f"allocations/{client}"


def data_claims_of(provider: int) -> str:
    """Table of a miner's claims on verified data, by number."""
    return f"dataclaims/{provider}"


def precommits_of(miner: int) -> str:
    """Table of a miner's pre-commits, by sector number."""
    return f"precommits/{miner}"


def sectors_of(miner: int) -> str:
    """Table of a miner's proven sectors, by number."""
    return f"sectors/{miner}"


def deadlines_of(miner: int) -> str:
    """Table of a miner's deadlines, by index."""
    return f"deadlines/{miner}"


def posted_proofs_of(miner: int) -> str:
    """Table of a miner's window proofs that may be disputed, by (deadline, index)."""
    return f"postedproofs/{miner}"


def partitions_of(miner: int) -> str:
    """Table of a miner's partitions, by (deadline, index)."""
    return f"partitions/{miner}"


@dataclass(frozen=True, slots=True)
class Actor:
    """What every actor has."""

    kind: str
    """Name of its code: account, storageminer, multisig, ..."""
    nonce: int
    """Next nonce of a sender."""
    balance: Big
    """attoFIL, locked parts included."""
    address: Address | None
    """Key address of an account, f2 address of a created actor."""
    delegated: Address | None = None
    """f4 address, for placeholders and Ethereum accounts."""


@dataclass(frozen=True, slots=True)
class ActorId:
    """An entry of the init actor's address map."""

    id: int
    """Actor id."""


@dataclass(frozen=True, slots=True)
class InitState:
    """The init actor."""

    next_id: int
    """Id of the next actor to be created."""
    network: str
    """Network name."""


@dataclass(frozen=True, slots=True)
class Smoothed:
    """A smoothed estimate with its velocity, both Q.128."""

    position: Big
    velocity: Big


@dataclass(frozen=True, slots=True)
class PowerState:
    """The power actor."""

    miner_count: int
    """Miners that were ever created."""
    pledge: Big
    """Sum of all initial pledges and pre-commit deposits, attoFIL."""
    smoothed: Smoothed
    """Smoothed quality-adjusted power, never below the network's floor."""


@dataclass(frozen=True, slots=True)
class RewardState:
    """The reward actor."""

    epoch_reward: Big
    """attoFIL that one epoch mints at most."""
    smoothed: Smoothed
    """Smoothed reward per epoch."""
    baseline: Big
    """Baseline power in bytes."""
    paid: Big
    """Sum of all block rewards so far."""


@dataclass(frozen=True, slots=True)
class VerifregState:
    """The verified registry."""

    next_allocation: int
    """Number of the next allocation."""


@dataclass(frozen=True, slots=True)
class DataCap:
    """An amount of data cap."""

    amount: Big


@dataclass(frozen=True, slots=True)
class InjectedFailure:
    """Coming messages that shall fail."""

    method: int
    code: int
    left: int
    """How many."""


@dataclass(frozen=True, slots=True)
class InjectedFailures:
    """Faults that travel on chain."""

    failures: tuple[InjectedFailure, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened."""

    number: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """Data cap that a client set aside for a piece at a miner."""

    client: int
    provider: int
    data: Cid
    """Commitment to the piece."""
    size: int
    """Padded bytes."""
    term_min: int
    term_max: int
    """Bounds of the sector's life, epochs."""
    expiration: int
    """Last epoch in which it can be claimed."""


@dataclass(frozen=True, slots=True)
class DataClaim:
    """Verified data that a miner stores."""

    client: int
    data: Cid
    size: int
    term_min: int
    term_max: int
    term_start: int
    """Epoch of the claim."""
    sector: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A miner's power."""

    raw: Big
    """Bytes."""
    quality: Big
    """Quality-adjusted bytes."""


@dataclass(frozen=True, slots=True)
class CronEvents:
    """What is due in one epoch."""

    miners: tuple[int, ...]
    """Miners whose current deadline ends."""


@dataclass(frozen=True, slots=True)
class BeneficiaryTerm:
    """How much a beneficiary may take."""

    quota: Big
    used: Big
    expiration: int


@dataclass(frozen=True, slots=True)
class BeneficiaryChange:
    """A change of beneficiary that waits for consent."""

    beneficiary: int
    quota: Big
    expiration: int
    by_beneficiary: bool
    by_nominee: bool


@dataclass(frozen=True, slots=True)
class Miner:
    """A miner actor's own state; sectors, deadlines and partitions are tables of their own."""

    owner: int
    worker: int
    control: tuple[int, ...]
    new_worker: int | None
    worker_change_epoch: int
    pending_owner: int | None
    beneficiary: int
    term: BeneficiaryTerm
    pending_beneficiary: BeneficiaryChange | None
    peer: bytes
    multiaddrs: tuple[bytes, ...]
    post_proof: int
    """WindowPoSt proof type."""
    sector_size: int
    partition_sectors: int
    consensus_fault_elapsed: int
    deposits: Big
    """Sum of pre-commit deposits."""
    locked: Big
    """Sum of the vesting table."""
    vesting: tuple[tuple[int, Big], ...]
    """(epoch, amount) in order of epochs."""
    debt: Big
    """Fees that could not be paid."""
    pledge: Big
    """Sum of the sectors' initial pledges."""
    period_start: int
    deadline: int
    """Index of the current deadline as cron last set it."""
    cron_active: bool
    allocated: bytes
    """Sector numbers ever used, RLE+."""


@dataclass(frozen=True, slots=True)
class PreCommit:
    """A pre-commitment."""

    number: int
    seal_proof: int
    sealed_cid: Cid
    seal_rand_epoch: int
    deal_ids: tuple[int, ...]
    expiration: int
    unsealed_cid: Cid | None
    deposit: Big
    epoch: int
    """Epoch in which it landed."""


@dataclass(frozen=True, slots=True)
class Sector:
    """A proven sector."""

    number: int
    seal_proof: int
    sealed_cid: Cid
    activation: int
    expiration: int
    deal_weight: Big
    verified_weight: Big
    pledge: Big
    power_base_epoch: int
    flags: int
    daily_fee: Big
    sector_key: Cid | None
    deadline: int
    partition: int


@dataclass(frozen=True, slots=True)
class Deadline:
    """One deadline of a miner."""

    partitions: int
    """How many partitions it has."""
    posted: tuple[int, ...]
    """Partitions proven in the window that is open."""


@dataclass(frozen=True, slots=True)
class PostedProof:
    """A window proof of a deadline's last window, as long as it may be disputed."""

    partitions: tuple[int, ...]
    challenge: int
    """Epoch of its challenge."""
    proof: bytes
    """Empty if it was verified when it came."""
    sectors: tuple[tuple[int, bytes], ...]
    """(number, CommR) of each sector that it covers."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Sectors that are proven together; all fields hold sorted sector numbers."""

    sectors: tuple[int, ...]
    unproven: tuple[int, ...]
    faults: tuple[int, ...]
    recoveries: tuple[int, ...]
    terminated: tuple[int, ...]
    expirations: tuple[tuple[int, tuple[int, ...]], ...]
    """(quantised epoch, sectors) that end on time."""
    early: tuple[tuple[int, tuple[int, ...]], ...]
    """(quantised epoch, sectors) that end early if they stay faulty."""
    unpaid: tuple[tuple[int, tuple[int, ...]], ...]
    """(epoch, sectors) terminated early whose fee is still owed."""

    @property
    def live(self) -> tuple[int, ...]:
        """Sectors that were not terminated."""
        gone = set(self.terminated)
        return tuple(number for number in self.sectors if number not in gone)

    @property
    def active(self) -> tuple[int, ...]:
        """Live sectors that count as power."""
        idle = set(self.terminated) | set(self.faults) | set(self.unproven)
        return tuple(number for number in self.sectors if number not in idle)


EMPTY_PARTITION: Final = Partition((), (), (), (), (), (), (), ())


@dataclass(frozen=True, slots=True)
class Escrow:
    """A market balance."""

    amount: Big
    locked: Big


@dataclass(frozen=True, slots=True)
class MultisigProposal:
    """A pending multisig transaction."""

    id: int
    to: Address
    value: Big
    method: int
    params: bytes
    approved: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Multisig:
    """A multisig actor."""

    signers: tuple[int, ...]
    threshold: int
    next_id: int
    initial: Big
    start: int
    unlock: int
    pending: tuple[MultisigProposal, ...]


ROW_CLASSES: Final[dict[str, dict[str, type] | type]] = {
    ACTORS: Actor,
    ADDRESSES: ActorId,
    SYSTEM: {
        "init": InitState,
        "power": PowerState,
        "reward": RewardState,
        "verifreg": VerifregState,
        "market": MarketState,
        "failures": InjectedFailures,
    },
    CLAIMS: Claim,
    MINERS: Miner,
    CRON: CronEvents,
    ESCROWS: Escrow,
    MULTISIGS: Multisig,
    VERIFIERS: DataCap,
    DATACAPS: DataCap,
    REMOVALS: Count,
    "allowances": DataCap,
    "allocations": Allocation,
    "dataclaims": DataClaim,
    "precommits": PreCommit,
    "sectors": Sector,
    "deadlines": Deadline,
    "partitions": Partition,
    "postedproofs": PostedProof,
    DEALS: Deal,
    DEAL_STATES: DealState,
    PENDING_DEALS: DealNumber,
    DEAL_EVENTS: DealEvents,
    "sectordeals": SectorDeals,
}
"""Class of the rows of each table (the part before "/"); the singletons differ by key."""
