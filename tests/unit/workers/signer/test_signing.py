from __future__ import annotations

import hashlib
import json
import sqlite3
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from poolsite.filecoin.actors.evm import Method as EvmMethod
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.ethereum import signing_bytes
from poolsite.filecoin.keys import key_address, key_generate
from poolsite.filecoin.signature import signature_verify
from tests.keys import fixed_key
from tests.unit.workers.signer.market_payloads import DEAL, VOUCHER
from tests.unit.workers.signer.signing import SENDER, message, sign
from workers.signer import run_command
from workers.signer.commands import main
from workers.signer.errors import Denied, KeyMissing, Locked, NotUnderstood, Unrecorded
from workers.signer.message_payloads import message_request
from workers.signer.records import NANO, RecordQuery, Records, Verdict
from workers.signer.sign_request import SignRequest


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

    with pytest.raises(Denied, match="value per day"):
        sign(signer, message(nonce=20))


def test_a_key_that_is_not_there_is_not_found(signer):
    stranger = key_address(fixed_key("secp256k1", 7))

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


def test_a_thing_that_is_asked_for_twice_counts_once_in_a_day(signer):
    """A gateway that hears nothing for a while asks over a second connection."""
    for nonce in range(20):
        for caller in ("gateway a", "gateway b"):
            sign(signer, message(nonce=nonce), caller=caller)

    assert signer.records.spent(rule="small transfers", address=str(SENDER), day=today(signer))[0] == 20 * FIL
    with pytest.raises(Denied, match="value per day 21 FIL"):
        sign(signer, message(nonce=20))


def today(signer: Any) -> str:
    return str(signer.records.link.execute("SELECT max(day) FROM record").fetchone()[0])


def test_what_was_given_is_given_again_when_the_day_is_full(signer):
    for nonce in range(20):
        sign(signer, message(nonce=nonce))

    assert sign(signer, message(nonce=7))


TEN_A_DAY = 'version = 1\n[[rule]]\nname = "all"\nvalue_per_day = "10 FIL"\nfee_per_day = "0.00000001 FIL"\n'


def test_replacements_of_one_message_count_once_in_a_day(signer):
    """Of all messages with one nonce a chain takes one, and a console replaces an overtaken one often."""
    (signer.folder / "policy.toml").write_text(TEN_A_DAY)

    for fee_cap in range(1_000, 9_000, 100):
        sign(signer, message(value=4 * FIL, gas_fee_cap=fee_cap))

    spent = signer.records.spent(rule="all", address=str(SENDER), day=today(signer))
    assert spent == (4 * FIL, 9 * NANO, NANO)
    sign(signer, message(nonce=1, value=6 * FIL))
    with pytest.raises(Denied, match="fees per day"):
        sign(signer, message(gas_fee_cap=9_100))


def test_of_messages_with_one_nonce_the_most_counts(signer):
    (signer.folder / "policy.toml").write_text(TEN_A_DAY)
    for value in (1, 6, 2):
        sign(signer, message(value=value * FIL))

    with pytest.raises(Denied, match="value per day 11 FIL"):
        sign(signer, message(nonce=1, value=5 * FIL))
    sign(signer, message(nonce=1, value=4 * FIL))
    with pytest.raises(Denied, match="value per day 11 FIL"):
        sign(signer, message(value=7 * FIL))
    assert sign(signer, message(value=5 * FIL)), "the nonce has taken more already"
    again = Records(signer.folder / "records.sqlite")
    assert again.spent(rule="all", address=str(SENDER), day=today(signer))[0] == 10 * FIL


def test_rows_without_a_nonce_count_once_for_each_digest(signer):
    now = datetime.now(UTC)
    for fee_cap in (1_000, 1_000, 2_000):
        request = message_request(message(gas_fee_cap=fee_cap), SENDER, raw=b"")
        signer.records.write(replace(request, nonce=None), Verdict("r", ""), caller="test", now=now)

    assert signer.records.spent(rule="r", address=str(SENDER), day=today(signer))[0] == 2 * FIL
    assert signer.records.chain_verify() is None


def test_each_rule_key_and_day_has_a_sum_of_its_own(signer):
    now, other = datetime.now(UTC), key_address(fixed_key("bls"))
    sums = [("r", SENDER, now), ("s", SENDER, now), ("r", other, now), ("r", SENDER, now - timedelta(days=1))]
    for value, (rule, address, at) in enumerate(sums, 1):
        request = message_request(message(value=value * FIL), address, raw=b"")
        signer.records.write(request, Verdict(rule, ""), caller="test", now=at)

    spent = [
        signer.records.spent(rule=rule, address=str(address), day=at.date().isoformat())[0]
        for rule, address, at in sums
    ]

    assert spent == [1 * FIL, 2 * FIL, 3 * FIL, 4 * FIL]


def test_sums_hold_over_a_start_and_for_rows_of_another_process(signer):
    day = datetime.now(UTC)
    other = Records(signer.folder / "records.sqlite")
    where: dict[str, Any] = {"rule": "r", "address": str(SENDER), "day": day.date().isoformat()}
    verdict = Verdict("r", "digest")

    def request(nonce: int) -> SignRequest:
        return message_request(message(nonce=nonce), SENDER, raw=b"")

    for nonce in (1, 2, 1):
        signer.records.write(request(nonce), verdict, caller="test", now=day)
    assert signer.records.spent(**where)[0] == 2 * FIL
    for nonce in (2, 3):
        other.write(request(nonce), verdict, caller="test", now=day)

    assert signer.records.spent(**where)[0] == 3 * FIL
    assert other.spent(**where) == Records(signer.folder / "records.sqlite").spent(**where)
    assert signer.records.spent(**where, but=request(3))[0] == 2 * FIL
    assert signer.records.chain_verify() is None


OLD_COLUMNS = (
    "id", "at", "day", "type", "address", "caller", "words", "cid", "target", "value", "value_nano",
    "fee_nano", "rule", "policy", "error", "raw", "previous", "hash",
)  # fmt: skip


def old_file(path: Path) -> None:
    """Two chained rows in a file as signers wrote it before rows had a set and a digest."""
    link, day, previous = sqlite3.connect(path), datetime.now(UTC), ""
    link.execute(f"CREATE TABLE record (seq INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(OLD_COLUMNS)})")
    for number in range(2):
        row: dict[str, Any] = dict.fromkeys(OLD_COLUMNS, "")
        row |= {
            "id": str(number),
            "at": day.isoformat(),
            "day": day.date().isoformat(),
            "address": str(SENDER),
        }
        row |= {"rule": "r", "value_nano": 10**9, "fee_nano": 0, "raw": b"x", "previous": previous}
        fields = [row[name].hex() if isinstance(row[name], bytes) else row[name] for name in OLD_COLUMNS[:-1]]
        previous = row["hash"] = hashlib.sha256(
            json.dumps(fields, separators=(",", ":")).encode()
        ).hexdigest()
        marks = ", ".join("?" for _ in OLD_COLUMNS)
        link.execute(f"INSERT INTO record ({', '.join(OLD_COLUMNS)}) VALUES ({marks})", list(row.values()))
    link.commit()
    link.close()


def test_the_file_of_an_older_signer_goes_on_with_its_chain(tmp_path):
    old_file(tmp_path / "old.sqlite")
    records, now = Records(tmp_path / "old.sqlite"), datetime.now(UTC)
    request = message_request(message(), SENDER, raw=b"")

    records.write(request, Verdict("r", "digest"), caller="test", now=now, rule_set="purse")

    assert records.chain_verify() is None
    day = now.date().isoformat()
    assert records.spent(rule="r", address=str(SENDER), day=day) == (3 * FIL, NANO, NANO)
    assert records.query(RecordQuery(limit=1))[0]["rule_set"] == "purse"


async def stopped(*_given: object) -> None:
    """Serve nothing."""


def test_starting_the_signer_drops_the_index_of_an_older_one(signer, monkeypatch):
    monkeypatch.setattr(run_command, "run_until_stopped", stopped)
    monkeypatch.setattr(run_command, "logs_set_up", lambda _: None)
    link = signer.records.link
    link.execute("CREATE INDEX record_same ON record (rule, address, day, digest) WHERE error = ''")
    named = "SELECT 1 FROM sqlite_master WHERE name = 'record_same'"
    Records(signer.folder / "records.sqlite").close()
    assert link.execute(named).fetchone(), "an older signer may still run beside a command"

    run_command.run(Namespace(dir=signer.folder, locked=True))

    assert not link.execute(named).fetchone()


@pytest.mark.parametrize(("days", "is_signed", "warnings"), [(2, False, 1), (0, False, 0), (2, True, 0)])
def test_start_warns_if_keys_are_older_than_all_records(signer, monkeypatch, days, is_signed, warnings):
    """Without its records a signer makes a second block where it made one: it cannot know."""
    made_at = datetime.now(UTC) - timedelta(days=days)
    monkeypatch.setattr("workers.signer.keystore.datetime", SimpleNamespace(now=lambda _zone: made_at))
    signer.store.add(key_generate("bls"))
    if is_signed:
        sign(signer, message())
    monkeypatch.setattr(run_command, "run_until_stopped", stopped)
    monkeypatch.setattr(run_command, "logs_set_up", lambda _: None)

    with capture_logs() as lines:
        run_command.run(Namespace(dir=signer.folder, locked=True))

    assert [line["event"] for line in lines].count("no_records_yet") == warnings


def test_damaged_records_are_named(signer, capsys):
    path = signer.folder / "records.sqlite"
    signer.close()
    path.write_bytes(b"x" * 8192)

    assert main(["records", "--dir", str(signer.folder)]) == 1
    assert capsys.readouterr().err == f"{path}: file is not a database\n"


@pytest.mark.parametrize("column", ["rule_set", "digest", "nonce"])
def test_the_chain_holds_the_columns_of_newer_signers_too(signer, column):
    sign(signer, message())
    signer.records.link.execute("DROP TRIGGER record_no_update")

    signer.records.link.execute(f"UPDATE record SET {column} = 'other'")

    assert signer.records.chain_verify() == 1


DELEGATED = key_address(fixed_key("delegated"))


def ethereum(**overrides: Any) -> bytes:
    """The bytes that a delegated key signs for a transfer."""
    one = message(to=DELEGATED, from_=DELEGATED, method=EvmMethod.INVOKE_CONTRACT, **overrides)
    return signing_bytes(one, chain_id=314)


@pytest.mark.parametrize(
    ("address", "data", "words"),
    [
        (SENDER, lambda: message(value=10**24).cid.data, "a message or a deal"),
        (DELEGATED, ethereum, "an Ethereum transaction"),
        (SENDER, lambda: to_cbor(DEAL), "a deal"),
        (SENDER, lambda: to_cbor(replace(VOUCHER, signature=None)), "a voucher"),
    ],
    ids=["message", "transaction", "deal", "voucher"],
)
def test_a_rule_for_bytes_without_meaning_signs_none_that_have_one(signer, address, data, words):
    """Else whoever may have `unknown` bytes signed would ask for those of a message, past every ceiling."""
    (signer.folder / "policy.toml").write_text('version = 1\n[[rule]]\nname = "blind"\ntypes = ["unknown"]\n')
    asked: dict[str, Any] = {"address": str(address), "meta_type": "unknown", "extra": b"", "caller": "test"}
    signer.sign(**asked, to_sign=b"hello")

    with pytest.raises(Denied, match=f"these are the bytes of {words}: request it by its type"):
        signer.sign(**asked, to_sign=data())

    assert [bool(error) for _, _, error in rows(signer)] == [True, False]


def test_a_message_to_what_may_be_a_payment_channel_is_read_as_one_too():
    settle = message(to=address_parse("f01500"), value=0, method=3, params=b"")

    assert "paych.Settle" in message_request(settle, SENDER, raw=b"").readings


def test_record_list_is_bounded_and_works_while_signing(signer, monkeypatch):
    monkeypatch.setattr("workers.signer.signing.LISTED_MAX", 2)
    for nonce in range(3):
        sign(signer, message(nonce=nonce))

    with signer._turn:
        found = signer.records_query(RecordQuery())

    assert len(found) == 2
    assert found[0]["seq"] == 3


def test_refusal_that_cannot_be_recorded_is_one_and_nothing_is_signed(signer):
    """Said to be unable, the signer would be passed over for another one with the key and another policy."""
    signer.records.link.execute("PRAGMA query_only=ON")

    with pytest.raises(Denied, match="no rule allows"):
        sign(signer, message(method=16, params=bytes.fromhex("814200ff")))
    with pytest.raises(Unrecorded, match="cannot be read or written"):
        sign(signer, message())
