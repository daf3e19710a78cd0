"""Parameters of each registered seal proof: sector size, layers, challenges, partitions, tree shape.

Source: filecoin-project/rust-filecoin-proofs-api src/registry.rs; filecoin-project/rust-fil-proofs
filecoin-proofs/src/constants.rs, parameters.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from poolsite.filecoin.merkle import TreeShape
from poolsite.filecoin.scalars import NODE_BYTES
from poolsite.filecoin.sizes import GIB, KIB, MIB

MAX_CHALLENGES_PER_PARTITION = 18
"""Challenges that a PoRep circuit has at most.  Source: rust-fil-proofs filecoin-proofs/src/constants.rs."""

SYNTHETIC_CHALLENGES = 1 << 18
"""Size of the synthetic challenge set (fewer where the sector has fewer nodes).  Source: FIP-0059."""


class ApiVersion(StrEnum):
    """Version of the proofs API, which decides the order of DRG parents and the WindowPoSt challenge rule."""

    V1_0 = "1.0.0"
    """Seal proofs V1: the previous node is the last DRG parent, expander parents are cut to 32 bits."""
    V1_1 = "1.1.0"
    """Seal proofs V1_1: the previous node is the first DRG parent."""
    V1_2 = "1.2.0"
    """Synthetic and non-interactive seal proofs, with V1_1's graph; WindowPoSt V1_1."""


class ChallengeRule(StrEnum):
    """How the challenges of a PoRep are drawn."""

    INTERACTIVE = "interactive"
    """By a seed that the chain draws after the pre-commit."""
    SYNTHETIC = "synthetic"
    """By such a seed, out of a set that follows from the replica (FIP-0059)."""
    NON_INTERACTIVE = "non-interactive"
    """By the replica alone; more challenges stand in for the seed (FIP-0092)."""


class UnknownSealProof(ValueError):
    """A number that is no registered seal proof."""


@dataclass(frozen=True, slots=True)
class SealParameters:
    """What one registered seal proof fixes."""

    number: int
    """Number of the registered proof; the first eight bytes of porep_id."""
    name: str
    """Name in rust-filecoin-proofs-api, also `registered_proof` in the JSON of pc1 and c1."""
    sector_bytes: int
    """Padded sector size."""
    api_version: ApiVersion
    """Version of the graph and of the PoSt rules."""
    rule: ChallengeRule
    """How challenges are drawn."""
    layers: int
    """SDR layers; a column has one label of each."""
    shape: TreeShape
    """Shape of tree_c and tree_r_last."""
    partitions: int
    """Proofs of one sector."""
    challenges: int
    """Challenges of one partition."""

    @property
    def nodes(self) -> int:
        """Return the number of 32-byte nodes of the sector."""
        return self.sector_bytes // NODE_BYTES

    @property
    def porep_id(self) -> bytes:
        """Return the 32 bytes that separate graphs and replica ids: number, nonce 0, zeros."""
        return self.number.to_bytes(8, "little") + bytes(24)

    @property
    def label_tag(self) -> str:
        """Return the name under which pc1 and c1 JSON file labels and proofs: the V1 proof of this size."""
        return SIZES[SECTOR_SIZES.index(self.sector_bytes)] + "V1"


SECTOR_SIZES = (2 * KIB, 8 * MIB, 512 * MIB, 32 * GIB, 64 * GIB)
"""Registered sector sizes in the order of the proof numbers."""

SIZES = tuple(f"StackedDrg{size}" for size in ("2KiB", "8MiB", "512MiB", "32GiB", "64GiB"))
"""Their names."""

SHAPES = (TreeShape(), TreeShape(), TreeShape(), TreeShape(sub=8), TreeShape(sub=8, top=2))
"""Shapes of their trees."""

LARGE_SIZES = (32 * GIB, 64 * GIB)
"""Sizes that people use; the others are for tests and have fewer layers and challenges."""

GENERATIONS = (
    ("V1", ApiVersion.V1_0, ChallengeRule.INTERACTIVE),
    ("V1_1", ApiVersion.V1_1, ChallengeRule.INTERACTIVE),
    ("V1_1_Feat_SyntheticPoRep", ApiVersion.V1_2, ChallengeRule.SYNTHETIC),
    ("V1_2_Feat_NonInteractivePoRep", ApiVersion.V1_2, ChallengeRule.NON_INTERACTIVE),
)
"""Generations of seal proofs, five numbers (one a size) each."""


def parameters_of_size(sector_bytes: int) -> SealParameters:
    """Return the parameters of the plain seal proof of now (V1_1) for sectors of a size that exists."""
    return seal_parameters(len(SECTOR_SIZES) + SECTOR_SIZES.index(sector_bytes))


def seal_parameters(number: int) -> SealParameters:
    """Return the parameters of registered seal proof `number`.  Raises UnknownSealProof."""
    generation, size = divmod(number, len(SECTOR_SIZES))
    if not 0 <= generation < len(GENERATIONS):
        raise UnknownSealProof(f"registered seal proof {number}")
    suffix, api_version, rule = GENERATIONS[generation]
    large = SECTOR_SIZES[size] in LARGE_SIZES
    partitions, challenges = _challenge_counts(rule, large)
    return SealParameters(
        number=number,
        name=SIZES[size] + suffix,
        sector_bytes=SECTOR_SIZES[size],
        api_version=api_version,
        rule=rule,
        layers=11 if large else 2,
        shape=SHAPES[size],
        partitions=partitions,
        challenges=challenges,
    )


def _challenge_counts(rule: ChallengeRule, large: bool) -> tuple[int, int]:
    """Return partitions and challenges of each: the minimum spread evenly, rounded up."""
    if rule is ChallengeRule.NON_INTERACTIVE:
        partitions, minimum = (126, 2253) if large else (13, 26)
    else:
        partitions, minimum = (10, 176) if large else (1, 2)
    return partitions, min(-(-minimum // partitions), MAX_CHALLENGES_PER_PARTITION)
