"""Following the chain: growth, null rounds, reorganisations, gaps, and the clock of epochs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from apps.chain.models import Follower, Head
from apps.chain.node.client import ChainClient
from apps.chain.node.link import NodeLink
from apps.chain.node.tipsets import TipsetFacts
from apps.chain.selectors.epochs import epoch_at
from apps.chain.selectors.heads import head_current, heads_taken_back
from apps.chain.selectors.paths import path_between
from apps.chain.services.heads import HeadStepResult, head_follow
from tests import factories
from tests.fake_node import FakeNode, served

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


class Followed:
    """A node and the one who follows it."""

    def __init__(self, node: FakeNode, client: ChainClient) -> None:
        self.node = node
        self.client = client

    def follow(self, *, finality: int = 900) -> HeadStepResult | None:
        return head_follow(client=self.client, facts=self.client.chain_head(), now=NOW, finality=finality)

    def heights(self) -> list[int]:
        rows = Head.objects.filter(is_canonical=True).order_by("height")
        return list(rows.values_list("height", flat=True))


@pytest.fixture
def chain() -> Iterator[Followed]:
    node = FakeNode()
    with served(node) as url:
        link = NodeLink(url, "")
        yield Followed(node, ChainClient([link]))
        link.close()


def test_the_first_head_brings_its_history_down_to_genesis(chain: Followed) -> None:
    for _ in range(3):
        chain.node.mine()

    result = chain.follow()

    assert result is not None
    assert (len(result.applied), result.has_gap) == (4, False)
    assert chain.heights() == [0, 1, 2, 3]


def test_the_same_head_again_changes_nothing(chain: Followed) -> None:
    chain.follow()

    assert chain.follow() is None


def test_null_rounds_leave_no_row(chain: Followed) -> None:
    chain.follow()
    chain.node.mine(nulls=3)

    chain.follow()

    assert chain.heights() == [0, 4]


def test_missed_heads_are_filled_in_by_parents(chain: Followed) -> None:
    chain.follow()
    for _ in range(5):
        chain.node.mine()

    result = chain.follow()

    assert result is not None
    assert [Head.objects.get(key=key).height for key in result.applied] == [1, 2, 3, 4, 5]


def test_a_reorganisation_reverts_and_applies(chain: Followed) -> None:
    for _ in range(4):
        chain.node.mine()
    chain.follow()
    old = [row.key for row in Head.objects.filter(height__gte=3).order_by("-height")]
    chain.node.rewind(2)
    for _ in range(3):
        chain.node.mine(salt="branch")

    result = chain.follow()

    assert result is not None
    assert list(result.reverted) == old
    assert [Head.objects.get(key=key).height for key in result.applied] == [3, 4, 5]
    assert not Head.objects.filter(key__in=old, is_canonical=True).exists()


def test_a_tipset_that_comes_back_is_canonical_again(chain: Followed) -> None:
    chain.node.mine()
    chain.node.mine()
    chain.follow()
    first = chain.node.head
    chain.node.rewind(1)
    chain.node.mine(salt="branch")
    chain.follow()
    chain.node.rewind(1)
    chain.node.head = first
    chain.node.mine()

    chain.follow()

    assert Head.objects.get(key=first.cid).is_canonical
    assert chain.heights() == [0, 1, 2, 3]


def test_the_head_can_move_down(chain: Followed) -> None:
    for _ in range(3):
        chain.node.mine()
    chain.follow()
    chain.node.rewind(2)

    result = chain.follow()

    head = head_current()
    assert result is not None
    assert head is not None
    assert (head.height, len(result.reverted), result.applied) == (1, 2, ())


def test_after_a_long_absence_the_new_piece_stands_alone(chain: Followed) -> None:
    chain.follow()
    for _ in range(12):
        chain.node.mine()

    result = chain.follow(finality=5)

    assert result is not None
    assert result.has_gap
    assert len(result.applied) == 5
    assert Head.objects.get(key=result.applied[0]).is_after_gap


def test_a_reader_is_told_the_way_from_its_last_place(chain: Followed) -> None:
    for _ in range(3):
        chain.node.mine()
    chain.follow()
    place = chain.node.head.cid
    chain.node.rewind(1)
    chain.node.mine(salt="branch")
    chain.node.mine()
    chain.follow()
    head = head_current()
    assert head is not None

    path = path_between(place, head)

    assert path.is_complete
    assert [row.height for row in path.reverted] == [3]
    assert [row.height for row in path.applied] == [3, 4]


def test_a_reader_without_a_place_is_told_that_the_way_is_unknown(chain: Followed) -> None:
    chain.follow()
    head = head_current()
    assert head is not None

    assert not path_between("", head).is_complete


def head_at(*, timestamp: datetime, arrived: datetime) -> Head:
    return Head(height=100, timestamp=int(timestamp.timestamp()), arrived_at=arrived)


def test_a_head_that_another_block_joined_was_not_taken_back() -> None:
    a, b, other = (factories.cid(name) for name in "abc")
    factories.head(1000, key="a", cids=[a], is_canonical=False)
    factories.head(1000, key="ab", cids=[a, b])
    factories.head(1001, key="b", cids=[b], is_canonical=False)
    factories.head(1001, key="ba", cids=[b, a], is_canonical=False)
    factories.head(1001, key="c", cids=[other])

    assert [head.key for head in heads_taken_back(20)] == ["ba"]


def test_the_clock_counts_epochs_from_the_newest_head() -> None:
    head = head_at(timestamp=NOW, arrived=NOW + timedelta(seconds=0.4))

    assert epoch_at(head, now=NOW + timedelta(seconds=1.9), epoch_s=2) == 100
    assert epoch_at(head, now=NOW + timedelta(seconds=4.1), epoch_s=2) == 102


def test_the_clock_stands_still_with_the_chain() -> None:
    head = head_at(timestamp=NOW, arrived=NOW)

    assert epoch_at(head, now=NOW + timedelta(days=1), epoch_s=2) == 110


def test_a_late_head_starts_its_epoch_with_its_arrival() -> None:
    head = head_at(timestamp=NOW - timedelta(days=1), arrived=NOW)

    assert epoch_at(head, now=NOW + timedelta(seconds=1), epoch_s=2) == 100


def test_a_follower_that_lost_its_lock_on_the_way_writes_nothing(
    chain: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.follow()
    chain.node.mine()
    late = chain.client.chain_head()

    def slow(client: ChainClient, key: str) -> TipsetFacts:
        overtaken(chain)
        return client.chain_get_tipset(key)

    monkeypatch.setattr("apps.chain.services.heads._tipset", slow)
    chain.node.mine()
    chain.node.mine()
    far = chain.client.chain_head()

    result = head_follow(client=chain.client, facts=far, now=NOW, finality=900)

    assert result is None
    head = head_current()
    assert head is not None
    assert head.key == late.key, "the other one's place stands"


def overtaken(chain: Followed) -> None:
    """Another follower leads meanwhile and moves the place by one head."""
    row = Head.objects.get(height=0)
    key = chain.node.chain(chain.node.head.cid)[1].cid
    other, _ = Head.objects.get_or_create(
        key=key,
        defaults={
            "height": 1,
            "cids": [key],
            "parent_key": row.key,
            "timestamp": 0,
            "base_fee": 100,
            "arrived_at": NOW,
        },
    )
    Follower.objects.update(head=other)
