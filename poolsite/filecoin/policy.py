"""The table of networks: every protocol time and size, one row per network.

Code asks the row, never a constant; what the chain itself says (StateGetNetworkParams, dline.Info) overrides
the row.  The public networks have the same times; they differ in the minimum power, the chain id and the
epochs of upgrades.

Source: lotus build/buildconstants (params_mainnet, params_calibnet, params_2k), go-state-types
builtin/v18/miner/policy.go; the rows `localnet-poolsite-*` are this project's own chain.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final

from poolsite.filecoin.amounts import FIL, ZERO, AttoFil
from poolsite.filecoin.deadlines import ProvingParams
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.filecoin.upgrades import PREMIUM_BASE_FEE_VERSION, version_at

EPOCHS_PER_DAY_MAINNET: Final = 2880
"""Epochs of 30 s in a day; times that the protocol gives in days are counted with it on every network."""
CLAIM_DROP_PERIOD: Final = 30 * EPOCHS_PER_DAY_MAINNET
"""Last epochs of a sector's life in which its claims may be given up.  Source: builtin-actors
runtime/src/runtime/policy.rs END_OF_LIFE_CLAIM_DROP_PERIOD."""
_DAY: Final = EPOCHS_PER_DAY_MAINNET
"""Epochs of a day, within this table."""


class ProofForm(enum.StrEnum):
    """What bytes a chain takes for a proof."""

    VANILLA = "vanilla"
    """Vanilla proofs in our container, which this project's own chain verifies."""
    GROTH16 = "groth16"
    """SNARKs of 192 bytes a partition, as every other chain."""


class SetUp(enum.StrEnum):
    """Whose parameters of Groth16 a chain's actors verify by."""

    PUBLISHED = "published"
    """Those of the public ceremonies: the files whose names and digests `groth16.published` lists."""
    LOCAL = "local"
    """Those that lie beside its nodes, made from a seed of its own or any others."""


@dataclass(frozen=True, slots=True)
class Confidences:
    """How many epochs to let pass before trusting what the chain says."""

    challenge: int
    """After a deadline's challenge epoch, before proving starts."""
    submit: int
    """After a deadline's opening, before its proof is sent."""
    message: int
    """After a message's execution, before it counts as landed."""
    seed: int
    """After the interactive seed's epoch, before the seed is used."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network's rules."""

    name: str
    """As StateNetworkName gives it."""
    network_version: int
    """Version in force."""
    epoch_s: int
    """Seconds between epochs."""
    eth_chain_id: int
    """EIP-155 chain id that delegated senders sign."""
    proving: ProvingParams
    """Deadlines and windows."""
    chain_finality: int
    """Epochs after which no reorg reaches back."""
    ticket_lookback: int
    """How far back a seal's ticket is drawn."""
    power_lookback: int
    """How far back the state lies that election takes power and worker keys from."""
    max_precommit_randomness_lookback: int
    """Oldest ticket that a pre-commit may use, in epochs."""
    pre_commit_challenge_delay: int
    """Epochs from pre-commit to the seed."""
    max_prove_commit_duration: int
    """Epochs from pre-commit until it expires."""
    min_sector_expiration: int
    """Shortest life of a sector in epochs."""
    max_sector_expiration_extension: int
    """Farthest expiration from now in epochs."""
    max_sector_lifetime: int
    """Longest life of a sector in epochs."""
    fault_max_age: int
    """Epochs after which a faulty sector is terminated."""
    dispute_window: int
    """Epochs after a deadline's close in which its proofs can be disputed."""
    worker_key_change_delay: int
    """Epochs from ChangeWorkerAddress until it can be confirmed."""
    confidences: Confidences
    """Waiting times of the pool's own services."""
    consensus_miner_min_power: int
    """Raw bytes that make a miner eligible to mine."""
    seal_proofs: tuple[RegisteredSealProof, ...]
    """Seal proof types that new sectors may have."""
    upgrades: tuple[tuple[str, int], ...] = ()
    """Epochs of upgrades by name; one that is not named is in force since genesis, up to
    `network_version`."""
    consensus_miner_min_miners: int = 4
    """While fewer miners reach the minimum power, any power is enough."""
    power_estimate_floor: int = 0
    """Least smoothed network power that pledge and fees reckon with, in bytes."""
    creation_deposit_read: AttoFil = ZERO
    """What CreateMiner must bring; 0 where the chain computes it (StateMinerCreationDeposit)."""
    propagation_delay_s: int = 10
    """Seconds that blocks are given to spread."""
    max_message_len: int = 64 << 10
    """Largest signed message in bytes."""
    posted_partitions_max: int = 3
    """Most partitions of one SubmitWindowedPoSt."""
    max_partitions_per_deadline: int = 3000
    """Most partitions of one deadline."""
    proof_form: ProofForm = ProofForm.GROTH16
    """What sealing and proving must bring."""
    pre_commit_batch_max: int = 256
    """Most sectors that the pool puts in one pre-commit message."""

    @property
    def is_devnet(self) -> bool:
        """Return whether the row is one of this project's own chain."""
        return self.name.startswith(LOCAL_PREFIX)

    @property
    def set_up(self) -> SetUp:
        """Return which parameters of Groth16 the chain takes."""
        return SetUp.PUBLISHED if network_is_public(self.name) else SetUp.LOCAL

    @property
    def proving_period(self) -> int:
        """Return the length of a proving period, epochs."""
        return self.proving.period

    def version_at(self, epoch: int) -> int:
        """Return the network version that executes the messages of a tipset at an epoch."""
        return version_at(epoch, heights=dict(self.upgrades), reported=self.network_version)

    def base_fee_by_premium(self, epoch: int) -> bool:
        """Return whether the premium rule makes the base fee that follows a tipset at `epoch`."""
        return self.version_at(epoch + 1) >= PREMIUM_BASE_FEE_VERSION


class UnknownNetwork(LookupError):
    """A network that has no row."""


LOCAL_PREFIX: Final = "localnet-poolsite-"
"""Names of this project's own chains begin so; Go daemons accept `localnet-...`."""

_V1_1: Final = (
    RegisteredSealProof.STACKED_DRG_32GIB_V1_1,
    RegisteredSealProof.STACKED_DRG_64GIB_V1_1,
    RegisteredSealProof.STACKED_DRG_32GIB_V1_1_SYNTHETIC,
    RegisteredSealProof.STACKED_DRG_64GIB_V1_1_SYNTHETIC,
    RegisteredSealProof.STACKED_DRG_32GIB_V1_2_NI,
    RegisteredSealProof.STACKED_DRG_64GIB_V1_2_NI,
)
"""Seal proofs that the public networks take for new sectors: 32 and 64 GiB of all three forms in use."""

MAINNET: Final = Network(
    name="mainnet",
    network_version=28,
    epoch_s=30,
    eth_chain_id=314,
    proving=ProvingParams(deadlines=48, window=60, lookback=20, fault_cutoff=70),
    chain_finality=900,
    ticket_lookback=900,
    power_lookback=900,
    max_precommit_randomness_lookback=_DAY + 900,
    pre_commit_challenge_delay=150,
    max_prove_commit_duration=30 * _DAY + 150,
    min_sector_expiration=180 * _DAY,
    max_sector_expiration_extension=1278 * _DAY,
    max_sector_lifetime=5 * 365 * _DAY,
    fault_max_age=42 * _DAY,
    dispute_window=1800,
    worker_key_change_delay=900,
    confidences=Confidences(challenge=10, submit=4, message=5, seed=6),
    consensus_miner_min_power=10 << 40,
    seal_proofs=_V1_1,
    upgrades=(("FireHorse", 6_052_800),),
)
"""Filecoin mainnet."""

CALIBNET: Final = replace(
    MAINNET,
    name="calibrationnet",
    eth_chain_id=314_159,
    consensus_miner_min_power=32 << 30,
    upgrades=(("FireHorse", 3_694_534),),
)
"""The public test network."""

LOTUS_2K: Final = replace(
    MAINNET,
    name=LOCAL_PREFIX + "2k",
    epoch_s=4,
    eth_chain_id=31_415_926,
    pre_commit_challenge_delay=10,
    max_prove_commit_duration=30 * _DAY,
    consensus_miner_min_power=2048,
    seal_proofs=(
        RegisteredSealProof.STACKED_DRG_2KIB_V1_1,
        RegisteredSealProof.STACKED_DRG_8MIB_V1_1,
        RegisteredSealProof.STACKED_DRG_2KIB_V1_1_SYNTHETIC,
        RegisteredSealProof.STACKED_DRG_8MIB_V1_1_SYNTHETIC,
        RegisteredSealProof.STACKED_DRG_2KIB_V1_2_NI,
        RegisteredSealProof.STACKED_DRG_8MIB_V1_2_NI,
    ),
    upgrades=(),
    power_estimate_floor=1 << 40,
    creation_deposit_read=AttoFil(FIL),
    propagation_delay_s=1,
    proof_form=ProofForm.VANILLA,
)
"""This project's chain with the times of lotus' 2k build, which Go clients have compiled in."""

DEMO: Final = replace(
    LOTUS_2K,
    name=LOCAL_PREFIX + "demo",
    epoch_s=2,
    proving=ProvingParams(deadlines=24, window=8, lookback=4, fault_cutoff=12),
    chain_finality=60,
    ticket_lookback=60,
    power_lookback=60,
    max_precommit_randomness_lookback=1_000,
    pre_commit_challenge_delay=4,
    fault_max_age=42 * 24 * 8,
    dispute_window=2 * 60,
    worker_key_change_delay=60,
    confidences=Confidences(challenge=0, submit=0, message=1, seed=1),
)
"""The default of `make up`: a period of 6.4 minutes."""

TEST: Final = replace(
    DEMO,
    name=LOCAL_PREFIX + "test",
    epoch_s=1,
    proving=ProvingParams(deadlines=6, window=10, lookback=2, fault_cutoff=15),
    chain_finality=20,
    ticket_lookback=20,
    power_lookback=20,
    pre_commit_challenge_delay=2,
    fault_max_age=42 * 6 * 10,
    dispute_window=2 * 20,
    worker_key_change_delay=20,
)
"""For tests: a period of one minute."""

SOAK: Final = replace(TEST, name=LOCAL_PREFIX + "soak", epoch_s=4)
"""For soaks on a machine that has other work: a week of seven periods in 28 minutes."""

MADE_UP: Final = replace(CALIBNET, name="demo", eth_chain_id=31_415_927, upgrades=())
"""Network of the made-up pool of `make up DEMO=1`: no chain has it."""

NETWORKS: Final = {row.name: row for row in (MAINNET, CALIBNET, LOTUS_2K, DEMO, TEST, SOAK, MADE_UP)}
"""All rows by name."""
ALIASES: Final = {"calibnet": CALIBNET, "testnetnet": MAINNET}
"""Rows by names that are no row's own."""


def network_by_name(name: str) -> Network:
    """Return the row of a network.  Raises UnknownNetwork.

    `testnetnet` is mainnet's name on the wire since its launch; `calibnet` is in common use.
    """
    row = NETWORKS.get(name) or ALIASES.get(name)
    if row is None:
        raise UnknownNetwork(f"the rules of network {name!r} are unknown")
    return row


def network_is_listed(name: str) -> bool:
    """Return whether a network has a row, under this name or its alias."""
    return name in NETWORKS or name in ALIASES


def network_is_public(name: str) -> bool:
    """Return whether a name is that of a public network, whose Groth16 parameters come from a ceremony."""
    return network_is_listed(name) and network_by_name(name) in (MAINNET, CALIBNET)
