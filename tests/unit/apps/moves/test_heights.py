"""The heights at which a miner changes hands: after the head, never over a proof that has begun, audited."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from apps.blocks.models import Block
from apps.blocks.selectors.mining_miners import miners_on
from apps.core.errors import BadValue, NotAllowed
from apps.miners.models import Miner
from apps.moves.errors import MoveRefused
from apps.moves.services.heights import miner_move_in, miner_move_out, move_cancel
from apps.proving.models import WindowPost
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import miner_grant
from tests import factories
from tests.audit_rules import complaint
from tests.people import principal
from tests.unit.apps.moves.moving import HEIGHT, moving, signed_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("time_stands_still")]


def heights() -> tuple[int | None, int | None]:
    """Return what stands in the row."""
    row = Miner.objects.get()
    return row.works_from, row.works_until


def test_in_and_out_and_in_again_each_once() -> None:
    miner = moving()
    signed_for(miner)

    for _ in range(2):
        miner_move_in(miner, height=1010, by=SYSTEM)
    assert heights() == (1010, None)
    factories.head(1015)
    for _ in range(2):
        miner_move_out(miner, height=1040, by=SYSTEM)
    assert heights() == (1010, 1040)
    with pytest.raises(MoveRefused, match="cancel that first"):
        miner_move_in(miner, height=1050, by=SYSTEM)
    factories.head(1041)
    miner_move_in(miner, height=1050, by=SYSTEM)
    assert heights() == (1050, None)

    lines = list(AuditEntry.objects.filter(action__startswith="miner.move").order_by("pk"))
    assert [line.action for line in lines] == ["miner.move-in", "miner.move-out", "miner.move-in"]
    assert lines[1].before == {"works_from": "height 1010", "works_until": None}
    assert lines[1].after == {"works_from": "height 1010", "works_until": "height 1040"}
    assert [complaint(line.action, line.before, line.after) for line in lines] == [""] * 3


def test_no_blocks_are_made_after_moving_in_again_until_somebody_says_so() -> None:
    miner = moving(works_until=None)
    signed_for(miner)
    miner_grant(tenant=miner.tenant, actor_id=1000)
    miner_move_out(miner, height=1005, by=SYSTEM)
    factories.head(1006)

    miner_move_in(miner, height=1011, by=SYSTEM)

    assert not miners_on([miner])
    assert [line.action for line in AuditEntry.objects.order_by("-pk")[:2]] == [
        "miner.move-in",
        "mining.stop",
    ]


@pytest.mark.parametrize("height", [-1, 0, 999, 1000, 1061])
@pytest.mark.parametrize("change", [miner_move_in, miner_move_out])
def test_a_height_that_is_past_or_far_is_refused(change: Callable[..., Miner], height: int) -> None:
    miner = moving(works_until=0 if change is miner_move_in else None)
    signed_for(miner)
    before = heights()

    first = "1\u202f001" if change is miner_move_in else "1\u202f003"
    with pytest.raises(BadValue, match=f"must be from {first} to 1\u202f060") as refused:
        change(miner, height=height, by=SYSTEM)

    assert refused.value.field == "height"
    assert heights() == before


def test_no_miner_moves_out_over_a_block_that_may_be_signed() -> None:
    miner = moving(works_until=None)
    block = Block.objects.create(actor_id=1000, height=1010, parents=b"p", unsigned=b"")

    for height in (1005, 1010):
        with pytest.raises(MoveRefused, match="the block of epoch 1\u202f010 may already be signed here"):
            miner_move_out(miner, height=height, by=SYSTEM)

    assert heights() == (None, None)
    miner_move_out(miner, height=block.height + 1, by=SYSTEM)
    assert heights() == (None, 1011)


def test_no_move_in_is_cancelled_over_a_block_that_may_be_signed() -> None:
    miner = moving()
    signed_for(miner)
    miner_move_in(miner, height=1010, by=SYSTEM)
    block = Block.objects.create(actor_id=1000, height=1010, parents=b"p", unsigned=b"")
    with pytest.raises(MoveRefused, match="at or after height 1\u202f010 may already be signed here"):
        move_cancel(miner, by=SYSTEM)

    Block.objects.filter(pk=block.pk).update(height=1009)
    miner_grant(tenant=miner.tenant, actor_id=1000)
    factories.head(1008)
    with pytest.raises(MoveRefused, match="may already be signed here"):
        move_cancel(miner, by=SYSTEM)
    assert heights() == (1010, None)

    factories.head(1007)
    move_cancel(miner, by=SYSTEM)
    assert heights() == (None, 0)


def test_a_height_close_to_the_head_is_cancelled_where_no_blocks_are_made() -> None:
    miner = moving()
    signed_for(miner)
    miner_move_in(miner, height=HEIGHT + 1, by=SYSTEM)

    move_cancel(miner, by=SYSTEM)

    assert heights() == (None, 0)


def test_the_same_height_again_changes_nothing_close_to_it() -> None:
    miner = moving(works_until=None)
    miner_move_out(miner, height=1003, by=SYSTEM)
    factories.head(1002)

    assert miner_move_out(miner, height=1003, by=SYSTEM).works_until == 1003


def test_nothing_moves_in_without_its_key() -> None:
    miner = moving()

    with pytest.raises(MoveRefused, match="no connected signer holds the key"):
        miner_move_in(miner, height=1010, by=SYSTEM)

    assert heights() == (None, 0)


def test_only_what_is_elsewhere_moves_in_and_what_is_here_moves_out() -> None:
    miner = moving()
    with pytest.raises(MoveRefused, match="another program already proves this miner"):
        miner_move_out(miner, height=1010, by=SYSTEM)
    Miner.objects.update(works_until=None)
    with pytest.raises(MoveRefused, match="the pool proves this miner, or will from the height set"):
        miner_move_in(miner, height=1010, by=SYSTEM)
    Miner.objects.update(works_from=1020)
    with pytest.raises(MoveRefused, match="at height 1\u202f020: cancel that instead"):
        miner_move_out(miner, height=1030, by=SYSTEM)


def begun(miner: Miner, opens: int) -> WindowPost:
    """A proof of the window that opens at this epoch."""
    return WindowPost.objects.create(
        miner=miner,
        deadline_index=(opens - 960) // 10 % 6,
        open_epoch=opens,
        close_epoch=opens + 10,
        challenge_epoch=opens - 2,
        randomness=b"r",
    )


def test_a_window_whose_proof_has_begun_stays_the_pools() -> None:
    miner = moving(works_until=None)
    begun(miner, 1010)

    with pytest.raises(MoveRefused, match="deadline 5, which opens at 1\u202f010, has already started"):
        miner_move_out(miner, height=1010, by=SYSTEM)
    miner_move_out(miner, height=1011, by=SYSTEM)

    assert heights() == (None, 1011)


def test_a_height_is_cancelled_while_it_is_to_come() -> None:
    miner = moving()
    signed_for(miner)
    with pytest.raises(MoveRefused, match="no future height is set"):
        move_cancel(miner, by=SYSTEM)

    miner_move_in(miner, height=1010, by=SYSTEM)
    move_cancel(miner, by=SYSTEM)
    assert heights() == (None, 0)

    miner_move_in(miner, height=1010, by=SYSTEM)
    begun(miner, 1010)
    with pytest.raises(MoveRefused, match="move out instead"):
        move_cancel(miner, by=SYSTEM)

    factories.head(1010)
    with pytest.raises(MoveRefused, match="no future height is set"):
        move_cancel(miner, by=SYSTEM)
    miner_move_out(miner, height=1030, by=SYSTEM)
    move_cancel(miner, by=SYSTEM)
    assert heights() == (1010, None)
    assert AuditEntry.objects.filter(action="miner.move-cancel").count() == 2


@pytest.mark.parametrize("change", [miner_move_in, miner_move_out])
def test_only_those_who_sign_for_it_set_a_height(change: Callable[..., Miner]) -> None:
    miner = moving()
    signed_for(miner)

    with pytest.raises(NotAllowed):
        change(miner, height=1010, by=principal("alice", perm="write"))
    with pytest.raises(NotAllowed):
        move_cancel(miner, by=principal("alice", perm="write"))

    assert heights() == (None, 0)
    assert HEIGHT < 1010
