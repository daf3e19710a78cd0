"""How little a head asks the database about proofs that stand where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.messages.states import MessageState
from apps.proving.models import WindowPost
from apps.proving.services.posts import posts_advance
from apps.proving.services.recoveries import recoveries_advance
from apps.proving.states import PostState
from tests import factories
from tests.unit.apps.proving.chain import OneDeadline
from tests.unit.apps.proving.rescues import look, miner, post

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db


@pytest.fixture
def landed() -> WindowPost:
    """A proof that has landed at 963, as its message says."""
    message = factories.message(state=MessageState.LANDED, height=963, exit_code=0)
    return post(miner(), state=PostState.LANDED, message_id=message.pk, landed_height=963)


def test_a_landed_proof_and_its_message_are_all_that_is_read(
    landed: WindowPost, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    now = look(OneDeadline(), 964)
    posts_advance(now)  # which prepares its question, once for each session

    with django_assert_num_queries(1):
        posts_advance(now)
    with django_assert_num_queries(1):
        recoveries_advance(now)

    landed.refresh_from_db()
    assert landed.state == PostState.LANDED


@pytest.mark.parametrize(
    ("message", "state", "height"),
    [
        ({"state": MessageState.FILLED}, PostState.SENT, None),
        ({"state": MessageState.LANDED, "height": 965}, PostState.LANDED, 965),
    ],
)
def test_a_landed_proof_whose_message_moved_is_looked_after(
    landed: WindowPost, message: dict[str, Any], state: str, height: int | None
) -> None:
    row = factories.message(**message)
    WindowPost.objects.filter(pk=landed.pk).update(message_id=row.pk)

    posts_advance(look(OneDeadline(), 966))

    landed.refresh_from_db()
    assert (landed.state, landed.landed_height) == (state, height)
