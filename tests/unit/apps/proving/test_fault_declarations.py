"""What two looks have found bad is declared, once and before the cut-off."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.messages.states import MessageState, Wait
from apps.miners.models import Miner
from apps.proving.models import Deadline, FaultDeclaration, Partition, SectorCheck
from apps.proving.services import fault_declarations
from apps.proving.states import DeclarationState
from apps.sectors.models import Store
from poolsite.filecoin.actors.miner_proving import DeclareFaultsParams
from poolsite.filecoin.bitfield import bitfield_of, bitfield_to_json
from poolsite.filecoin.codec import from_cbor
from tests import factories
from tests.killed_writes import killed_writes
from tests.unit.apps.proving.backup_prover_kills import killed_everywhere
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look
from tests.unit.apps.proving.sector_checks import (
    AGAIN,
    AHEAD,
    CUTOFF,
    OPENS,
    checker,
    known_bad,
    looked,
    passed,
    waiting,
)

pytestmark = pytest.mark.django_db


def test_sector_bad_twice_is_declared_before_the_cutoff() -> None:
    of, host = waiting(), checker()
    assert looked(host, (2,), height=AHEAD) == {1, 2}
    assert looked(host, (2,), height=AGAIN - 1) == set()
    assert passed(AGAIN - 1) == [], "one look is none"
    assert looked(host, (2,), height=AGAIN) == {2}

    assert passed(AGAIN) == [DeclarationState.SENT]

    row = FaultDeclaration.objects.get()
    message = Message.objects.get(pk=row.message_id)
    [entry] = from_cbor(DeclareFaultsParams, bytes(message.params)).faults
    assert (entry.deadline, entry.partition, list(entry.sectors)) == (0, 0, [2])
    assert (message.to, message.method, message.expire_epoch) == (of.address, 10, CUTOFF - 1)
    assert passed(AGAIN + 1) == [DeclarationState.SENT], "and not twice"


def test_file_that_comes_back_is_not_declared() -> None:
    waiting()
    host = checker()
    looked(host, (2,), height=AHEAD)
    looked(host, height=AGAIN)

    assert passed(AGAIN) == []
    assert SectorCheck.objects.get(number=2).bad_times == 0


def test_a_sector_of_which_another_store_has_a_copy_is_not_declared() -> None:
    of, host = waiting(), checker(stores=["a", "b"])
    for name in "ab":
        Store.objects.create(tenant=of.tenant, uid=f"uid-{name}", name=name)
    for number in (1, 2):
        factories.sector(of, number=number, state="PROVING", store="a")
    for height in (AHEAD, AGAIN):
        assert 2 in looked(host, (2,), height=height, elsewhere="uid-b")
    assert SectorCheck.objects.get(number=2).bad_times == 2

    assert passed(AGAIN) == [], "it is proven from the copy"

    SectorCheck.objects.filter(number=2).update(good_in="")
    assert passed(AGAIN) == [DeclarationState.SENT], "the copy is gone as well"


def single_look(of: Miner, *, height: int) -> None:
    """Sector 2 found bad once, in a store that no host has any more."""
    known = SectorCheck.objects.get(number=2)
    SectorCheck.objects.create(
        miner=of,
        number=2,
        deadline_index=known.deadline_index,
        store="gone",
        is_good=False,
        checked_at=clock.now(),
        height=height,
        bad_since=height,
        bad_times=1,
    )


def test_an_old_single_look_in_a_lost_store_holds_nothing_up() -> None:
    of = waiting()
    known_bad(checker())
    single_look(of, height=AHEAD - 100)

    assert passed(AGAIN) == [DeclarationState.SENT]


def test_a_single_look_waits_for_the_second_while_there_is_time() -> None:
    of = waiting()
    known_bad(checker())
    single_look(of, height=AHEAD)

    assert passed(AGAIN) == []
    assert passed(CUTOFF - 3) == []
    assert passed(CUTOFF - 2) == [DeclarationState.SENT]


def test_two_looks_close_together_count_as_one() -> None:
    waiting()
    host = checker()
    looked(host, (2,), height=CUTOFF - 3)
    assert looked(host, (2,), height=CUTOFF - 2) == set()

    assert passed(CUTOFF - 2) == []
    assert SectorCheck.objects.get(number=2).bad_times == 1


def test_faulty_recovering_or_terminated_sectors_are_not_declared() -> None:
    class Faulty(OneDeadline):
        def _partition(self, numbers: list[int], *, is_missed: bool = False) -> dict[str, Any]:
            return super()._partition(numbers, is_missed=is_missed) | {
                "FaultySectors": bitfield_to_json(bitfield_of((2,)))
            }

    waiting()
    known_bad(checker())

    assert passed(AGAIN, Faulty()) == []
    assert passed(AGAIN, OneDeadline(partitions=[[1]])) == []
    assert passed(AGAIN) == [DeclarationState.SENT]


def test_no_more_than_the_setting_are_declared(settings: Any) -> None:
    settings.PROVING = {"declare_max": 1}
    waiting()
    known_bad(checker(), (1, 2))

    assert passed(AGAIN) == [DeclarationState.SENT]
    assert passed(AGAIN + 1) == [DeclarationState.SENT]
    assert FaultDeclaration.objects.get().sectors == [1]


def test_what_is_declared_is_split_into_messages_of_the_setting(settings: Any) -> None:
    settings.PROVING = {"declaration_max": 1}
    waiting()
    known_bad(checker(), (1, 2))

    assert passed(AGAIN) == [DeclarationState.SENT] * 2
    assert [row.sectors for row in FaultDeclaration.objects.order_by("pk")] == [[1], [2]]


def test_each_partition_has_its_message() -> None:
    waiting()
    Deadline.objects.update(live=4, partitions_count=2)
    Partition.objects.create(deadline=Deadline.objects.get(), index=1, all_sectors=[3, 4], live=[3, 4])
    chain, host = OneDeadline(partitions=[[1, 2], [3, 4]]), checker()
    looked(host, (2, 3), height=AHEAD, chain=chain)
    looked(host, (2, 3), height=AGAIN, chain=chain)

    assert passed(AGAIN, chain) == [DeclarationState.SENT] * 2
    rows = FaultDeclaration.objects.order_by("partition_index")
    assert [(row.partition_index, row.sectors) for row in rows] == [(0, [2]), (1, [3])]


# What becomes of a declaration


def test_a_declaration_that_its_sender_does_not_get_out_is_sent_by_another() -> None:
    first, second = (factories.wallet(balance=5 * factories.FIL).address for _ in range(2))
    waiting(control=[first], worker=second)
    known_bad(checker())
    passed(AGAIN)
    Message.objects.update(wait=Wait.POLICY)

    assert passed(AGAIN + 1) == [DeclarationState.SENT]
    assert dict(Message.objects.values_list("from_addr", "state")) == {first: "FAILED", second: "UNFILLED"}


@pytest.mark.parametrize(
    ("state", "data"),
    [(MessageState.LANDED, {"exit_code": 7}), (MessageState.FAILED, {"error": "marked bad"})],
)
def test_failed_declaration_is_sent_again_until_the_cutoff(state: str, data: dict[str, Any]) -> None:
    waiting()
    known_bad(checker())
    passed(AGAIN)
    Message.objects.update(state=state, **data)

    assert passed(AGAIN + 1) == [DeclarationState.SENT]
    assert Message.objects.count() == 2
    Message.objects.update(state=state, **data)
    assert passed(CUTOFF) == [DeclarationState.FAILED]
    assert Message.objects.count() == 2


def test_landed_declaration_is_done_after_its_window_and_follows_a_reorg() -> None:
    waiting()
    known_bad(checker())
    passed(AGAIN)
    Message.objects.update(state=MessageState.LANDED, exit_code=0)
    assert passed(AGAIN + 1) == [DeclarationState.LANDED]
    Message.objects.update(state=MessageState.FILLED, nonce=1)
    assert passed(AGAIN + 2) == [DeclarationState.SENT]
    Message.objects.update(state=MessageState.LANDED)
    assert passed(CUTOFF + 1) == passed(OPENS + 9) == [DeclarationState.LANDED]

    assert passed(OPENS + 10) == [DeclarationState.DONE]


def test_nothing_is_declared_from_the_cutoff_on() -> None:
    waiting()
    known_bad(checker())

    assert passed(CUTOFF - 1) == []


def test_kill_anywhere_sends_one_message() -> None:
    waiting()
    known_bad(checker())

    def play(kills: int) -> bool:
        def run() -> None:
            context = look(OneDeadline(), AGAIN)
            fault_declarations.declarations_begin(context)
            fault_declarations.declarations_advance(context)

        was_killed = killed_writes(run, after=kills)
        assert passed(AGAIN) == [DeclarationState.SENT]
        [row] = FaultDeclaration.objects.all()
        [message] = Message.objects.filter(kind="declare_faults")
        assert row.message_id == message.pk
        return was_killed

    assert killed_everywhere(play) >= 2
