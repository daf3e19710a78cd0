"""Which sectors a proof covers, in what order, and which it leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from apps.miners.onchain.partition_facts import PartitionFacts
from apps.proving.models import WindowPost
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.policy import Network, ProofForm
from poolsite.filecoin.proof_container import window_post_partitions_max


def posted_partitions_most(sector_size: int, *, network: Network) -> int:
    """Return how many partitions one message proves at most: by the chain, and by its size."""
    most = network.posted_partitions_max
    if network.proof_form == ProofForm.VANILLA:
        most = min(most, window_post_partitions_max(sector_size))
    return most


def provable_sectors_select(part: PartitionFacts, *, skipped: Sequence[int]) -> list[int]:
    """Return the sectors of a partition that its proof must cover.

    Source: damocles poster: live - faulty + recovering, without the skipped.
    """
    wanted = (part.live - part.faulty) | (part.live & part.recovering)
    return list(wanted - bitfield_of(skipped))


def proof_order_build(facts: Sequence[PartitionFacts], *, post: WindowPost) -> tuple[list[int], list[int]]:
    """Return the sector numbers in the proof's order, and the partitions that have any.

    Every sector of a partition has its place; one that is not proved is stood in for by the partition's
    first good one.  Source: specs-actors miner LoadSectorInfosForProof.
    """
    order: list[int] = []
    covered: list[int] = []
    for index in post.partitions:
        if index >= len(facts):
            continue
        good = provable_sectors_select(facts[index], skipped=post.skipped.get(str(index), ()))
        if not good:
            continue
        covered.append(index)
        chosen = set(good)
        order += [number if number in chosen else good[0] for number in facts[index].all_sectors]
    return order, covered


def skipped_add(
    post: WindowPost, *, facts: Sequence[PartitionFacts], faults: set[int]
) -> dict[str, list[int]]:
    """Return what a proof leaves out once these sectors turned out unreadable too."""
    skipped = {index: set(numbers) for index, numbers in post.skipped.items()}
    for index in post.partitions:
        if index < len(facts):
            faulty = faults & set(facts[index].live)
            if faulty:
                skipped.setdefault(str(index), set()).update(faulty)
    return {index: sorted(numbers) for index, numbers in skipped.items()}


def skipped_of(partitions: Sequence[int], *, skipped: dict[str, list[int]]) -> dict[str, list[int]]:
    """Return the sectors of some partitions that a proof leaves out."""
    return {str(index): skipped[str(index)] for index in partitions if str(index) in skipped}
