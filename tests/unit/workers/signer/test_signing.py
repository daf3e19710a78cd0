from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

import pytest

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_to_cbor
from poolsite.filecoin.signature import signature_verify
from tests import people
from workers.signer.errors import Denied, KeyMissing, Locked, NotUnderstood
from workers.signer.records import RecordQuery

SENDER = key_address(people.key("secp256k1"))


def message(**overrides: Any) -> Message:
    fields: dict[str, Any] = {
        "to": address_parse("f01234"),
        "from_": SENDER,
        "value": FIL,
        "nonce": 0,
        "gas_limit": 1_000_000,
        "gas_fee_cap": 1000,
        "gas_premium": 10,
    }
    return Message(**{**fields, **overrides})


def sign(signer: Any, one: Message, **overrides: Any) -> Any:
    asked: dict[str, Any] = {
        "address": str(one.from_),
        "to_sign": one.cid.data,
        "meta_type": "message",
        "extra": message_to_cbor(one),
        "caller": "test",
    }
    return signer.sign(**{**asked, **overrides})


def rows(signer: Any) -> list[tuple[str, str, str]]:
    return [(row["words"], row["rule"], row["error"]) for row in signer.records.query(RecordQuery())]


def test_an_allowed_message_is_signed_and_recorded(signer):
    signature = sign(signer, message())

    signature_verify(signature, SENDER, message().cid.data)
    assert rows(signer) == [("message: Send to f01234", "small transfers", "")]


def test_a_denied_message_is_recorded_with_its_reason(signer):
    with pytest.raises(Denied):
        sign(signer, message(value=2 * FIL))

    [(_, rule, error)] = rows(signer)
    assert rule == ""
    assert "above 1 FIL" in error


def test_what_is_not_understood_is_recorded_too(signer):
    with pytest.raises(NotUnderstood):
        sign(signer, message(), to_sign=b"x" * 38)

    assert rows(signer)[0][2] == "the bytes to sign are not those of the message in extra"


def test_a_days_limit_counts_what_was_signed(signer):
    for nonce in range(20):
        sign(signer, message(nonce=nonce))

    with pytest.raises(Denied, match="value of the day"):
        sign(signer, message(nonce=20))


def test_a_key_that_is_not_there_is_not_found(signer):
    stranger = key_address(people.key("secp256k1", 7))

    with pytest.raises(KeyMissing, match="record not found"):
        sign(signer, message(from_=stranger))
    with pytest.raises(KeyMissing):
        sign(signer, message(), address="nonsense")


def test_a_locked_signer_signs_nothing(signer):
    signer.store.lock()

    with pytest.raises(Locked, match="wallet locked"):
        sign(signer, message())


def test_a_rule_that_goes_away_denies_from_then_on(signer):
    (signer.folder / "policy.toml").write_text("version = 1\n")

    with pytest.raises(Denied):
        sign(signer, message())


def test_records_cannot_be_changed(signer):
    sign(signer, message())

    for statement in ("UPDATE record SET error = ''", "DELETE FROM record"):
        with pytest.raises(sqlite3.DatabaseError, match="append-only"):
            signer.records.link.execute(statement)


def test_the_chain_finds_a_forged_record(signer):
    for nonce in range(3):
        sign(signer, message(nonce=nonce))
    assert signer.records.chain_verify() is None

    signer.records.link.execute("DROP TRIGGER record_no_update")
    signer.records.link.execute("UPDATE record SET value = '0' WHERE seq = 2")

    assert signer.records.chain_verify() == 2


def test_records_are_found_by_what_they_are(signer):
    sign(signer, message())
    with pytest.raises(Denied):
        sign(signer, message(value=5 * FIL))
    query = signer.records.query
    first = query(RecordQuery())[1]["id"]

    assert [row["id"] for row in query(RecordQuery(id=first, errors_only=True))] == [first]
    assert len(query(RecordQuery(errors_only=True))) == 1
    assert len(query(RecordQuery(address=str(SENDER)))) == 2
    assert query(RecordQuery(type="block")) == []
    assert query(RecordQuery(after=datetime(2100, 1, 1, tzinfo=UTC).isoformat())) == []
    assert len(query(RecordQuery(limit=1, skip=1))) == 1
