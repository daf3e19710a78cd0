"""Proofs that the base fee overtook pay more by themselves; others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.messages.models import SignedVersion
from apps.messages.services import Gas, SendSpec
from apps.messages.services.hurry import proofs_hurry
from apps.messages.states import MessageState, Wait

if TYPE_CHECKING:
    from tests.messaging import Pool

CHEAP = Gas(limit=1_000_000, fee_cap=200, premium=100)


def overtaken(pool: Pool, **data: Any) -> str:
    """A message in flight whose cap is below the base fee; gives its sender."""
    address = pool.address()
    pool.push("one", address, gas=CHEAP, **data)
    pool.choose()
    pool.node.base_fee = 300
    pool.node.mine(only=lambda _signed: False)
    pool.follow()
    return address


def test_a_proof_is_raised_and_published(pool: Pool) -> None:
    address = overtaken(pool, kind="window_post")

    raised = proofs_hurry(client=pool.client, head=pool.head, now=pool.now)

    row = pool.row("one")
    assert raised == ["one"]
    assert row.gas_fee_cap >= 300
    assert str(pool.node.pool[(address, 0)].cid) == row.cid
    assert proofs_hurry(client=pool.client, head=pool.head, now=pool.now) == []


def test_other_messages_wait_for_the_fee_to_fall(pool: Pool) -> None:
    overtaken(pool)

    assert proofs_hurry(client=pool.client, head=pool.head, now=pool.now) == []


def test_the_largest_fee_holds_and_is_named(pool: Pool) -> None:
    overtaken(pool, kind="window_post", spec=SendSpec(max_fee=250_000_000))

    assert proofs_hurry(client=pool.client, head=pool.head, now=pool.now) == []

    row = pool.row("one")
    assert (row.state, row.wait) == (MessageState.FILLED, Wait.FEE_CAP)
    assert "max fee 250000000" in row.error
    assert not SignedVersion.objects.exists()


def test_without_a_signer_the_old_version_stays(pool: Pool) -> None:
    overtaken(pool, kind="window_post")
    pool.keyring.is_away = True

    assert proofs_hurry(client=pool.client, head=pool.head, now=pool.now) == []

    assert pool.row("one").gas_fee_cap == 200
