"""Which windows are proved when, which sectors a proof covers, in what order."""

from __future__ import annotations

from typing import Any, cast

import pytest

from apps.core import clock
from apps.miners.onchain.partition_facts import PartitionFacts
from apps.proving.models import WindowPost
from apps.proving.rules.proof_coverage import posted_partitions_most, proof_order_build
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.services.jobs import lease_length_compute
from apps.proving.services.submissions import submit_params_encode
from apps.proving.services.windows import windows_open
from poolsite.filecoin.actors.miner_proving import SubmitWindowedPoStParams
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.policy import network_by_name
from tests import factories

pytestmark = pytest.mark.django_db

NETWORK = network_by_name("localnet-poolsite-test")


def partition(every: list[int], *, faulty: tuple[int, ...] = (), **sets: Any) -> PartitionFacts:
    """A partition; all sectors live unless told otherwise."""
    live = sets.get("live", every)
    return PartitionFacts(
        all_sectors=bitfield_of(every),
        live=bitfield_of(live),
        active=bitfield_of([number for number in live if number not in faulty]),
        faulty=bitfield_of(faulty),
        recovering=bitfield_of(sets.get("recovering", ())),
    )


def post(partitions: list[int], **data: Any) -> WindowPost:
    """A proof of these partitions."""
    facts = {"deadline_index": 0, "open_epoch": 960, "close_epoch": 970, "challenge_epoch": 958, **data}
    return WindowPost(miner=factories.miner(), partitions=partitions, **facts)


@pytest.mark.parametrize(
    ("facts", "data", "order", "kept"),
    [
        ([partition([1, 2])], {}, [1, 2], [0]),
        ([partition([1, 2], faulty=(1,))], {}, [2, 2], [0]),
        ([partition([1, 2], faulty=(1,), recovering=(1,))], {}, [1, 2], [0]),
        ([partition([1, 2])], {"skipped": {"0": [2]}}, [1, 1], [0]),
        ([partition([1, 2, 3], live=[2, 3])], {}, [2, 2, 3], [0]),
        ([partition([1, 2], faulty=(1, 2))], {}, [], []),
        ([partition([1, 2]), partition([3])], {}, [1, 2, 3], [0, 1]),
        ([partition([1, 2], faulty=(1, 2)), partition([3])], {}, [3], [1]),
        ([partition([1])], {"partitions": [0, 1]}, [1], [0]),
    ],
)
def test_a_proof_covers_what_can_be_proved_in_the_partitions_order(
    facts: list[PartitionFacts], data: dict[str, Any], order: list[int], kept: list[int]
) -> None:
    partitions = data.pop("partitions", list(range(len(facts))))

    assert proof_order_build(facts, post=post(partitions, **data)) == (order, kept)


@pytest.mark.parametrize(
    ("height", "windows"),
    [
        (960, [0]),
        (967, [0]),
        (968, [0, 1]),
        (969, [0, 1]),
        (970, [1]),
        (1017, [5]),
        (1018, [5, 0]),
        (1020, [0]),
    ],
)
def test_a_window_is_proved_from_its_challenge_on(height: int, windows: list[int]) -> None:
    miner = factories.miner(proving_period_start=960)
    look = ProvingContext(
        client=cast("Any", None), network=NETWORK, head=factories.head(height), now=clock.now()
    )

    open_now = windows_open(miner, context=look)

    assert [window.index for window in open_now] == windows
    assert all(window.challenge <= height < window.close for window in open_now)


def test_the_windows_do_not_depend_on_which_period_the_node_names() -> None:
    head = factories.head(1000)
    look = ProvingContext(client=cast("Any", None), network=NETWORK, head=head, now=clock.now())
    named = [factories.miner(proving_period_start=start) for start in (900, 960, 1020, -60)]

    found = [[(window.index, window.open) for window in windows_open(miner, context=look)] for miner in named]

    assert found == [[(4, 1000)]] * 4


def test_a_miner_without_a_period_has_no_windows() -> None:
    head = factories.head(1000)
    look = ProvingContext(client=cast("Any", None), network=NETWORK, head=head, now=clock.now())

    assert windows_open(factories.miner(proving_period_start=None), context=look) == []


@pytest.mark.parametrize(("window_s", "lease_s"), [(16, 4), (10, 2), (2, 1), (60, 15), (1800, 15)])
def test_a_proofs_lease_is_a_quarter_of_the_window_at_most_15_seconds(window_s: int, lease_s: int) -> None:
    assert lease_length_compute(window_s) == lease_s


def test_the_message_names_skipped_sectors_and_the_chain_it_is_for() -> None:
    row = post([0, 2], skipped={"2": [7, 9]}, proof=b"proof")

    params = from_cbor(SubmitWindowedPoStParams, submit_params_encode(row, commit=b"c" * 32))

    assert [(part.index, list(part.skipped)) for part in params.partitions] == [(0, []), (2, [7, 9])]
    assert (params.deadline, params.chain_commit_epoch, params.chain_commit_rand) == (0, 958, b"c" * 32)
    assert params.proofs[0].proof_bytes == b"proof"


@pytest.mark.parametrize(
    ("name", "sector_size", "most"),
    [
        ("localnet-poolsite-test", 2 << 10, 3),
        ("localnet-poolsite-test", 8 << 20, 2),
        ("mainnet", 32 << 30, 3),
    ],
)
def test_a_message_proves_as_many_partitions_as_fit(name: str, sector_size: int, most: int) -> None:
    """Three partitions of 8 MiB would be 92 KB of vanilla proofs, of which nodes accept 64."""
    assert posted_partitions_most(sector_size, network=network_by_name(name)) == most
