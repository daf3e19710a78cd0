"""Keys kept offline: exports reserve nonces, signatures are imported, withdrawals give nothing twice."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from apps.core import clock
from apps.core.errors import BadValue, Conflict, NotAllowed, NotFound
from apps.messages.errors import BadMessage
from apps.messages.models import Message, Sender
from apps.messages.rules.offline_files import (
    OfflineSignature,
    signatures_parse,
    signatures_read,
    unsigned_file,
)
from apps.messages.selectors.diagnosis import message_diagnose
from apps.messages.selectors.messages import message_versions
from apps.messages.selectors.offline import messages_exported, offline_keys
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services import select
from apps.messages.services.cancel import message_cancel, message_mark_bad
from apps.messages.services.estimate_rounds import messages_choose
from apps.messages.services.gaps import gaps_fill
from apps.messages.services.offline import (
    export_withdraw,
    messages_export,
    offline_key_add,
    offline_key_remove,
    signatures_import,
)
from apps.messages.services.replace import message_replace
from apps.messages.services.retry import message_retry, messages_recover
from apps.messages.services.senders import sender_delete
from apps.messages.services.sign import DEAD_EPOCHS
from apps.messages.services.taken_nonces import message_push_again
from apps.messages.states import MessageState, Wait
from apps.users.models import AuditEntry
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.cids import cid_to_json
from poolsite.filecoin.keys import KEY_BLS, KEY_SECP256K1, KeyInfo, key_address, key_generate, key_sign
from poolsite.filecoin.message import SignedMessage, signed_message_to_json
from tests.messaging import Pool
from tests.people import principal, tenant

KINDS = (KEY_SECP256K1, KEY_BLS)


def offline_key(pool: Pool, kind: str = KEY_SECP256K1) -> tuple[str, KeyInfo]:
    """A key of alice that nobody here holds."""
    key = key_generate(kind)
    address = str(key_address(key))
    pool.node.balances[address] = 100 * 10**18
    offline_key_add(principal=SYSTEM, tenant=tenant("alice"), address=address)
    return address, key


def export(pool: Pool, address: str, ids: list[str] | None = None, **more: Any) -> list[Message]:
    found = messages_export(
        principal=principal(),
        address=address,
        ids=ids,
        client=pool.client,
        head=pool.head,
        now=clock.now(),
        **more,
    )
    assert not found.left, [(row.wait, row.error) for row in found.left]
    return found.rows


def signature(row: Message, key: KeyInfo) -> OfflineSignature:
    message = row.chain_message()
    return OfflineSignature(message.cid, key_sign(key, message.cid.data))


def bring(*signatures: OfflineSignature) -> Any:
    return signatures_import(principal=principal(), signatures=signatures, now=clock.now())


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_signed_elsewhere_imported_and_lands(pool: Pool, kind: str) -> None:
    address, key = offline_key(pool, kind)
    pool.push("one", address)
    pool.choose()
    assert (pool.row("one").state, pool.row("one").nonce) == (MessageState.UNFILLED, None)
    assert Sender.objects.get(address=address).wait == Wait.OFFLINE

    (row,) = export(pool, address)

    assert (row.state, row.nonce, row.wait, bytes(row.signed)) == ("FILLED", 0, Wait.OFFLINE, b"")
    assert AuditEntry.objects.filter(action="message.export").count() == 1
    pool.choose()
    assert (address, 0) not in pool.node.pool, "nothing is published unsigned"
    found = bring(signature(row, key))
    assert ([one.push_id for one in found.rows], found.refused) == (["one"], [])
    assert (address, 0) in pool.node.pool
    again = bring(signature(row, key))
    assert [one.push_id for one in again.rows] == ["one"]
    assert AuditEntry.objects.filter(action="message.sign-import").count() == 1
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.LANDED


def test_an_exported_nonce_is_given_to_nobody_else(pool: Pool) -> None:
    address, key = offline_key(pool)
    pool.push("one", address)
    (one,) = export(pool, address)
    pool.push("two", address)
    for _ in range(8):
        pool.step()
        assert gaps_fill(client=pool.client, head=pool.head) == []
    (two,) = export(pool, address)

    assert (one.nonce, two.nonce) == (0, 1)
    assert [row.push_id for row in messages_exported(principal(), address)] == ["one", "two"]
    with pytest.raises(BadMessage, match="withdraw the export instead"):
        message_mark_bad(message=pool.row("one"), now=clock.now())
    acts: tuple[Any, ...] = (message_cancel, partial(message_replace, fees=NewFees()))
    for act in acts:
        with pytest.raises(BadMessage, match="import its signature, or withdraw"):
            act(message=pool.row("one"), client=pool.client, head=pool.head, now=clock.now())
    assert bring(signature(two, key)).refused == []
    assert (address, 1) in pool.node.pool
    behind = message_diagnose(pool.row("two"), head=pool.head)
    assert (behind.reason, behind.evidence["earlier_id"]) == (Wait.EARLIER_NONCE, "one")


def test_a_withdrawn_nonce_goes_to_the_next_export(pool: Pool) -> None:
    address, key = offline_key(pool)
    pool.push("one", address)
    (one,) = export(pool, address)
    export_withdraw(principal=principal(), message=one, now=clock.now())
    pool.push("two", address, value=2)

    (two,) = export(pool, address)

    assert two.nonce == one.nonce == 0, "only one of both can land"
    ((_, reason),) = bring(signature(one, key)).refused
    assert "it was withdrawn" in reason
    with pytest.raises(BadMessage, match="was signed with nonce 0"):
        message_retry(message=pool.row("one"), now=clock.now())
    assert messages_recover(address=address, client=pool.client, head=pool.head, now=clock.now()) == []
    assert bring(signature(two, key)).refused == []


def test_a_withdrawn_export_comes_back_with_its_own_nonce(pool: Pool) -> None:
    address, key = offline_key(pool)
    pool.push("one", address)
    (one,) = export(pool, address)
    export_withdraw(principal=principal(), message=one, now=clock.now())

    assert messages_recover(address=address, client=pool.client, head=pool.head, now=clock.now()) == ["one"]

    assert (pool.row("one").nonce, pool.row("one").wait) == (0, Wait.OFFLINE)
    assert bring(signature(one, key)).refused == []
    with pytest.raises(Conflict):
        export_withdraw(principal=principal(), message=pool.row("one"), now=clock.now())


@pytest.mark.parametrize("kind", KINDS)
def test_a_withdrawn_export_that_was_pushed_elsewhere_lands(pool: Pool, kind: str) -> None:
    """Shown as failed, it would be paid again."""
    address, key = offline_key(pool, kind)
    pool.push("one", address)
    (one,) = export(pool, address)
    message = one.chain_message()
    export_withdraw(principal=principal(), message=one, now=clock.now())
    pool.push("two", address, value=2)
    export(pool, address)

    signed = SignedMessage(message, key_sign(key, message.cid.data))
    pool.client.mpool_push(signed)
    pool.step()
    pool.step()

    row, two = pool.row("one"), pool.row("two")
    assert (row.state, row.exit_code, row.landed_cid) == (MessageState.LANDED, 0, str(signed.cid))
    assert (two.state, two.wait) == (MessageState.REPLACED, Wait.NONCE_TAKEN)
    assert Sender.objects.get(address=address).foreign_at is None, "no other program's"


def test_an_export_is_void_where_its_key_is_removed_meanwhile(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = offline_key(pool)
    pool.push("one", address)

    def removing(*args: Any, **more: Any) -> Any:
        chosen = messages_choose(*args, **more)
        if Sender.objects.filter(address=address, is_offline=True).exists():
            offline_key_remove(principal=SYSTEM, address=address)
        return chosen

    monkeypatch.setattr(select, "messages_choose", removing)

    found = messages_export(
        principal=principal(), address=address, ids=None, client=pool.client, head=pool.head, now=clock.now()
    )

    assert ([row.push_id for row in found.left], found.rows) == (["one"], [])
    assert pool.row("one").nonce is None


def test_an_export_whose_nonce_was_used_is_pushed_again_without_a_version(pool: Pool) -> None:
    address, key = offline_key(pool)
    pool.push("one", address)
    (one,) = export(pool, address)
    other = replace(one.chain_message(), value=AttoFil(77))
    pool.client.mpool_push(SignedMessage(other, key_sign(key, other.cid.data)))
    pool.step()
    pool.step()
    assert pool.row("one").state == MessageState.REPLACED
    pool.head.height += 2 * DEAD_EPOCHS

    row = message_push_again(message=pool.row("one"), client=pool.client, head=pool.head, now=clock.now())

    assert (row.state, row.nonce) == (MessageState.UNFILLED, None)
    assert message_versions(row) == [], "none was signed"
    assert not row.versions.exists()


def test_wrong_signatures_change_nothing(pool: Pool) -> None:
    address, _ = offline_key(pool)
    pool.push("one", address)
    (one,) = export(pool, address)
    other = key_generate(KEY_SECP256K1)

    ((_, reason),) = bring(signature(one, other)).refused

    assert f"not the signature of {address}" in reason
    stranger = OfflineSignature(pool.row("one").chain_message().cid, key_sign(other, b"x"))
    found = signatures_import(principal=principal("bob"), signatures=[stranger], now=clock.now())
    assert found.refused == [(str(stranger.cid), "no message with this CID was exported")]
    assert pool.row("one").is_exported


def test_one_signed_and_pushed_elsewhere_lands_all_the_same(pool: Pool) -> None:
    address, key = offline_key(pool)
    pool.push("one", address)
    (one,) = export(pool, address)
    message = one.chain_message()

    pool.client.mpool_push(SignedMessage(message, key_sign(key, message.cid.data)))
    pool.step()
    pool.step()

    assert pool.row("one").state == MessageState.LANDED


def test_a_batch_keeps_the_order_and_takes_the_fee_cap(pool: Pool) -> None:
    address, _ = offline_key(pool)
    for name in "abc":
        pool.push(name, address)

    rows = export(pool, address, ["a", "c"], gas_fee_cap=10**9)

    assert [(row.push_id, row.nonce) for row in rows] == [("a", 0), ("c", 1)]
    assert {int(row.gas_fee_cap) for row in rows} == {10**9}
    (key,) = offline_keys(principal(), now=clock.now())
    assert (key.waiting, key.exported, key.expired) == (1, 2, 0)
    assert offline_keys(principal("bob"), now=clock.now()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_read_back_in_each_form(pool: Pool, kind: str) -> None:
    address, key = offline_key(pool, kind)
    pool.push("one", address)
    (row,) = export(pool, address)
    (entry,) = unsigned_file([row], network="test")["Messages"]
    message = row.chain_message()
    assert (entry["CID"], entry["SignBytes"]) == (cid_to_json(message.cid), message.cid.data.hex())
    made = key_sign(key, bytes.fromhex(entry["SignBytes"]))
    expected = [OfflineSignature(message.cid, made)]
    signed = signed_message_to_json(SignedMessage(message, made))
    by_hand = {"CID": entry["CID"], "Signature": bytes(made).hex()}
    for form in (signed, [signed], {"Messages": [signed]}, by_hand, [by_hand]):
        assert signatures_parse(form) == expected
    wrongs: list[Any] = [[], "x", [{}], [{"CID": entry["CID"], "Signature": ""}]]
    for wrong in wrongs:
        with pytest.raises(BadValue):
            signatures_parse(wrong)
    begun = time.monotonic()
    with pytest.raises(BadValue, match="at most 500"):
        signatures_read("{}  " * 400_000)
    assert time.monotonic() - begun < 2


def test_only_an_operator_names_offline_keys_and_none_of_others(pool: Pool) -> None:
    held, fresh = pool.address(), str(key_address(key_generate(KEY_SECP256K1)))
    with pytest.raises(NotAllowed):
        offline_key_add(principal=principal(perm="admin"), tenant=tenant("alice"), address=fresh)
    with pytest.raises(Conflict):
        offline_key_add(principal=SYSTEM, tenant=tenant("bob"), address=held)
    with pytest.raises(BadValue):
        offline_key_add(principal=SYSTEM, tenant=tenant("alice"), address="f01000")
    with pytest.raises(NotFound):
        export(pool, held)
    address, _ = offline_key(pool)
    pool.push("one", address)
    (one,) = export(pool, address)
    with pytest.raises(Conflict, match="import or withdraw them first"):
        offline_key_remove(principal=SYSTEM, address=address)
    export_withdraw(principal=principal(), message=one, now=clock.now())
    offline_key_remove(principal=SYSTEM, address=address)
    assert not Sender.objects.get(address=address).is_offline


def test_a_key_stays_offline_when_its_senders_settings_are_deleted(pool: Pool) -> None:
    address, _ = offline_key(pool)

    sender_delete(principal=principal(), address=address)

    assert Sender.objects.get(address=address).is_offline, "an operator said so"
