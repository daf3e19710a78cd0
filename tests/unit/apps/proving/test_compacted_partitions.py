"""Declarations about sectors of a partition that has another number since a compaction."""

from __future__ import annotations

from typing import Any

import pytest

from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.proving.models import FaultDeclaration, Partition, Recovery
from apps.proving.services.fault_declarations import declarations_advance
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.services.recovery_schedule import recoveries_begin
from apps.proving.states import DeclarationState, RecoveryState
from poolsite.filecoin.actors.miner_proving import DeclareFaultsParams, DeclareFaultsRecoveredParams
from poolsite.filecoin.codec import from_cbor
from tests import factories
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import NETWORK, faulty, look, miner

pytestmark = pytest.mark.django_db


def compacted(of: Miner) -> dict[str, Any]:
    """Columns of a declaration of sector 1, whose partition was the second one and is the first one now."""
    deadline = faulty(of)
    factories.partition(deadline, index=1, all_sectors=[7], live=[7])
    epochs = {"open_epoch": deadline.open_epoch, "cutoff_epoch": deadline.cutoff_epoch}
    return {"miner": of, "deadline_index": 5, "partition_index": 1, "sectors": [1], **epochs}


def test_recovery_names_the_partition_that_its_sectors_are_in_now() -> None:
    facts = compacted(miner())
    row = Recovery.objects.create(state=RecoveryState.GOOD, good=[1], randomness=b"r" * 32, **facts)

    recoveries_advance(look(OneDeadline()))

    row.refresh_from_db()
    params = from_cbor(DeclareFaultsRecoveredParams, bytes(Message.objects.get(pk=row.message_id).params))
    assert [(part.partition, list(part.sectors)) for part in params.recoveries] == [(0, [1])]


def test_fault_names_the_partition_that_its_sectors_are_in_now() -> None:
    row = FaultDeclaration.objects.create(state=DeclarationState.DECIDED, **compacted(miner()))

    declarations_advance(look(OneDeadline()))

    row.refresh_from_db()
    params = from_cbor(DeclareFaultsParams, bytes(Message.objects.get(pk=row.message_id).params))
    assert [(part.partition, list(part.sectors)) for part in params.faults] == [(0, [1])]


@pytest.mark.parametrize("still", [[], [1]])
def test_recovery_ends_by_its_sectors_whatever_their_partition_is(still: list[int]) -> None:
    of = miner()
    facts = compacted(of)
    factories.message("m", state=MessageState.LANDED, exit_code=0, from_addr=of.worker, to=of.address)
    facts |= {"good": [1], "randomness": b"r" * 32, "message_id": "m"}
    row = Recovery.objects.create(state=RecoveryState.LANDED, **facts)
    Partition.objects.filter(index=1).delete()
    Partition.objects.update(faulty=still)

    recoveries_advance(look(OneDeadline(), row.open_epoch + NETWORK.proving.window))

    row.refresh_from_db()
    assert row.state == (RecoveryState.FAILED if still else RecoveryState.RECOVERED)


def test_recovery_in_progress_is_not_begun_again_for_another_partition() -> None:
    of = miner()
    facts = compacted(of) | {"sectors": [1, 2], "good": [1, 2], "randomness": b"r" * 32}
    Recovery.objects.create(state=RecoveryState.SENT, **facts)

    assert recoveries_begin(of, context=look(OneDeadline())) == 0
