"""Miners after a reorganisation that gives the IDs which their CreateMiner messages got to other actors."""

from __future__ import annotations

import pytest

from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.services.creation_results import creations_follow
from apps.users.selectors.grants import miner_owner
from apps.users.services.grants import miner_grant
from poolsite.filecoin.actors import power
from poolsite.filecoin.address import actor_address, id_address
from poolsite.filecoin.codec import to_cbor
from tests import factories

pytestmark = pytest.mark.django_db


def returned(actor_id: int) -> bytes:
    """What CreateMiner returns for a miner of this ID; its robust address does not depend on it."""
    return to_cbor(power.CreateMinerReturn(id_address(actor_id), actor_address(b"robust")))


def made(actor_id: int, *, of: str) -> Miner:
    """A miner that its message has just made."""
    factories.message(
        f"make {actor_id}", state=MessageState.LANDED, height=990, return_data=returned(actor_id)
    )
    ids = {"create_message_id": f"make {actor_id}", "created_height": 990, "refreshed_height": 1000}
    row = factories.miner(actor_id, of=of, **ids)
    miner_grant(tenant=row.tenant, actor_id=actor_id)
    return row


def landed_anew(row: Miner, *, actor_id: int, height: int) -> None:
    """Let a miner's message land in another block, where it makes a miner of another ID."""
    data = {"return_data": returned(actor_id), "height": height}
    Message.objects.filter(pk=row.create_message_id).update(**data)


def actor_ids() -> list[int | None]:
    """Return the IDs of all miners, in the order in which they were made."""
    return list(Miner.objects.order_by("pk").values_list("actor_id", flat=True))


def test_miner_made_anew_at_the_same_height_has_its_new_id() -> None:
    row = made(1776, of="alice")

    landed_anew(row, actor_id=1777, height=990)
    creations_follow()

    assert actor_ids() == [1777]
    assert (miner_owner(actor_id=1776), miner_owner(actor_id=1777)) == ("", "alice")


@pytest.mark.parametrize("height", [990, 991])
def test_miners_whose_ids_move_on_in_a_reorganisation_keep_their_own(height: int) -> None:
    first, second = made(1776, of="alice"), made(1777, of="bob")

    landed_anew(first, actor_id=1777, height=height)
    landed_anew(second, actor_id=1778, height=height)
    creations_follow()

    assert actor_ids() == [1777, 1778]
    assert [miner_owner(actor_id=one) for one in (1776, 1777, 1778)] == ["", "alice", "bob"]
