from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, cast

import pytest

from apps.chain.errors import NodeRefused
from apps.chain.heads.steps import facts_due
from apps.chain.node.client import ChainClient
from apps.core import clock
from apps.core.errors import NotFound
from apps.gateway.models import SignerConnection, SignerKey
from apps.users.rules.principals import SYSTEM
from apps.users.services.grants import signer_grant
from apps.wallets.models import Wallet
from apps.wallets.selectors import sender_allowed, wallet_get, wallets_visible
from apps.wallets.services.refresh import TURN_HEADS, moved_wallets_mark, stale_wallets_mark, wallets_refresh
from poolsite.filecoin.keys import key_address
from tests import factories, people
from tests.keys import fixed_key

pytestmark = pytest.mark.django_db

ADDRESS = str(key_address(fixed_key("secp256k1")))


class Chain:
    """A node that knows one account."""

    def __init__(self, balance: int = 7, nonce: int = 3) -> None:
        self.actor = {"Balance": str(balance), "Nonce": nonce}
        self.number: Any = "f0105"
        self.asked: list[str] = []

    def call_many(self, calls: Any) -> list[Any]:
        self.asked += [address for method, (address, _) in calls if method == "StateGetActor"]
        answers = {"StateGetActor": self.actor, "StateLookupID": self.number}
        missing = NodeRefused(1, "actor not found")
        return [answers[method] if address == ADDRESS else missing for method, (address, _) in calls]


def connected(address: str = ADDRESS, *, of: str = "alice", ago_s: float = 0) -> SignerKey:
    tenant, seen = people.tenant(of), clock.now() - timedelta(seconds=ago_s)
    connection = SignerConnection.objects.create(
        uuid=uuid.uuid4(), tenant=tenant, process="p", created_at=seen, seen_at=seen, accounts=[of]
    )
    signer_grant(tenant=tenant, address=address)
    return SignerKey.objects.create(address=address, tenant=tenant, connection=connection, verified_at=seen)


def refresh(chain: Any = None) -> int:
    return wallets_refresh(client=cast("ChainClient", chain or Chain()), now=clock.now())


def test_a_proved_key_becomes_a_wallet_with_what_the_chain_says():
    connected()

    changed = refresh()

    wallet = Wallet.objects.get()
    assert changed == 1
    assert (wallet.address, wallet.account, wallet.key_type) == (ADDRESS, "alice", "secp256k1")
    assert (wallet.balance, wallet.nonce, wallet.actor_id) == (7, 3, 105)
    assert wallet.is_served(clock.now())


def test_a_connected_signer_needs_no_head_to_be_seen():
    connected()
    refresh()
    Wallet.objects.update(seen_at=clock.now() - timedelta(minutes=2))

    assert wallet_get(SYSTEM, ADDRESS).is_served(clock.now())

    SignerConnection.objects.update(closed_at=clock.now())
    assert not wallet_get(SYSTEM, ADDRESS).is_served(clock.now())


def test_nothing_changes_without_news():
    connected()
    refresh()

    assert refresh() == 0
    assert Wallet.objects.count() == 1


def test_number_from_a_branch_that_was_left_is_read_again():
    connected()
    chain = Chain()
    refresh(chain)
    chain.number = "f0107"
    refresh(chain)
    assert Wallet.objects.get().actor_id == 105, "it is asked for once"

    stale_wallets_mark(since=clock.now())
    refresh(chain)
    assert Wallet.objects.get().actor_id == 107

    chain.number = NodeRefused(1, "timed out")
    stale_wallets_mark(since=clock.now())
    refresh(chain)
    assert Wallet.objects.get().actor_id == 107

    chain.number = NodeRefused(1, "resolve address: actor not found")
    stale_wallets_mark(since=clock.now())
    refresh(chain)
    assert Wallet.objects.get().actor_id is None


def test_an_address_that_the_chain_does_not_know_has_nothing():
    other = str(key_address(fixed_key("bls")))
    connected(other)

    refresh()

    wallet = Wallet.objects.get()
    assert (wallet.balance, wallet.nonce, wallet.actor_id) == (0, 0, None)


def wallets(count: int) -> list[Wallet]:
    """Wallets that were asked for one after the other, a while ago."""
    tenant, ago = people.tenant("alice"), clock.now() - timedelta(hours=1)
    rows = [
        Wallet(address=f"f0{at}", actor_id=at, balance=0, nonce=0, tenant=tenant, account="alice")
        for at in range(5000, 5000 + count)
    ]
    for at, row in enumerate(rows):
        row.checked_at = ago + timedelta(seconds=at)
    return Wallet.objects.bulk_create(rows)


def is_due() -> bool:
    return "wallets.refresh" in facts_due(height=1001)


def test_between_turns_only_a_head_with_news_asks() -> None:
    factories.network()
    rows, chain = wallets(3), Chain()
    assert is_due()
    refresh(chain)
    assert len(chain.asked) == len(rows)

    assert not is_due()

    moved_wallets_mark({"f05001"}, at=clock.now())
    assert is_due()

    refresh(chain)
    assert not is_due()
    connected()
    assert is_due()


def test_large_pool_asks_for_moved_wallets_first_and_the_rest_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("apps.wallets.services.refresh.TURN_MIN", 5)
    rows, chain = wallets(40), Chain()
    moved_wallets_mark({"f05030", "f099"}, at=clock.now())

    refresh(chain)

    assert chain.asked == ["f05030", *(str(row.address) for row in rows[:5])]
    chain.asked.clear()
    refresh(chain)
    assert chain.asked == [str(row.address) for row in rows[5:10]]


def test_every_wallet_has_its_turn_within_sixty_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.wallets.services.refresh.TURN_MIN", 1)
    rows, chain = wallets(130), Chain()

    for _ in range(TURN_HEADS):
        refresh(chain)

    assert set(chain.asked) == {str(row.address) for row in rows}
    assert len(chain.asked) <= 3 * TURN_HEADS


def test_moved_wallet_is_found_by_key_and_by_number():
    tenant, ago = people.tenant("alice"), clock.now() - timedelta(hours=1)
    row = Wallet.objects.create(address=ADDRESS, actor_id=105, tenant=tenant, account="alice", checked_at=ago)

    for name in (ADDRESS, "f0105"):
        Wallet.objects.update(moved_at=None)
        moved_wallets_mark({name}, at=clock.now())
        assert Wallet.objects.get(pk=row.pk).moved_at is not None


def test_a_wallet_whose_signer_is_away_says_so():
    connected(ago_s=120)

    refresh()

    assert not Wallet.objects.get().is_served(clock.now())


def test_the_same_key_of_two_tenants_is_one_wallet():
    connected(of="alice")
    connected(of="bob")

    refresh()

    assert Wallet.objects.count() == 1
    for name in ("alice", "bob"):
        assert wallets_visible(people.principal(name)).count() == 1


def test_a_stranger_sees_nothing_and_may_not_send():
    connected()
    refresh()
    stranger = people.principal("mallory")

    assert not wallets_visible(stranger).exists()
    with pytest.raises(NotFound):
        wallet_get(stranger, ADDRESS)
    assert not sender_allowed(stranger.tenant_id, ADDRESS)


def test_the_owner_and_the_pool_may_send():
    connected()
    refresh()

    assert sender_allowed(people.tenant("alice").pk, ADDRESS)
    assert sender_allowed(None, ADDRESS)
    assert wallet_get(people.principal("alice"), "t" + ADDRESS[1:]).address == ADDRESS
