"""A person signs an exported file at the signer's machine: what is shown, asked, refused and recorded."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.actors.multisig import Method, ProposeParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL, AttoFil
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import signed_message_from_json
from poolsite.filecoin.signature import signature_verify
from poolsite.wire.offline_files import frames_make
from tests.keys import fixed_key
from tests.unit.workers.signer.conftest import PASSWORD
from tests.unit.workers.signer.offline import document, exported
from tests.unit.workers.signer.signing import message
from workers.signer.commands import main
from workers.signer.records import BY_HAND, RecordQuery
from workers.signer.signing import Signer

BLS_SENDER = key_address(fixed_key("bls"))


@pytest.fixture
def sign_file(signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the verb over the folder of `signer`, with what the person types."""
    (tmp_path / "password").write_text(PASSWORD)

    def run(file: Path, typed: str, *more: str) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return main(["sign-file", str(file), "--dir", str(tmp_path), *more])

    return run


def signed_in(file: Path) -> list[Any]:
    return [signed_message_from_json(row) for row in json.loads(file.read_text())["Messages"]]


def test_what_a_person_agrees_to_is_signed_and_recorded(
    sign_file: Callable[..., int], signer: Signer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The default policy allows neither: it is for programs."""
    inner = ProposeParams(address_parse("f01000"), AttoFil(3 * FIL), 0, b"")
    proposal = message(
        to=address_parse("f0500"), method=Method.PROPOSE, value=0, params=to_cbor(inner), nonce=1
    )
    first, third = message(params=b"memo"), message(from_=BLS_SENDER, nonce=2)

    assert sign_file(exported(tmp_path, first, proposal, third), "y\nn\nyes\n") == 0

    said = capsys.readouterr()
    for part in (
        "Message 1 of 3",
        "1 FIL",
        "multisig.Propose",
        "3 FIL to f01000",
        "testnetnet",
        "2026-11-30",
    ):
        assert part in said.err, part
    assert "2 of 3 messages signed" in said.out
    signed = signed_in(tmp_path / "unsigned.signed.json")
    assert [one.message for one in signed] == [first, third]
    for one in signed:
        signature_verify(one.signature, one.message.from_, one.message.cid.data)
    rows = signer.records.query(RecordQuery())
    assert [(row["cid"], row["rule"], row["error"]) for row in rows] == [
        (str(third.cid), BY_HAND, ""),
        (str(first.cid), BY_HAND, ""),
    ]
    assert rows[0]["caller"].startswith("command line ")
    assert signer.records.chain_verify() is None


def test_a_second_message_with_a_signed_nonce_is_named(
    sign_file: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = message()
    assert sign_file(exported(tmp_path, first), "y\n") == 0
    assert "NOTE" not in capsys.readouterr().err

    assert sign_file(exported(tmp_path, replace(first, value=AttoFil(2))), "n\n") == 1

    said = capsys.readouterr().err
    assert f"nonce 0 was signed for {first.cid} too" in said
    assert "nothing was signed" in said


def test_codes_read_from_a_screen_are_as_good_as_the_file(
    sign_file: Callable[..., int], tmp_path: Path
) -> None:
    file, codes = tmp_path / "codes.txt", frames_make(document(message(), message(nonce=1)))
    assert len(codes) > 1
    file.write_text("\n".join(reversed(codes)))

    assert sign_file(file, "y\ny\n", "--output", str(tmp_path / "back.json")) == 0

    assert len(signed_in(tmp_path / "back.json")) == 2


def test_nothing_in_the_file_moves_the_cursor_of_the_terminal(
    sign_file: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It could write another receiver over the one that is signed."""
    file = {**document(message()), "Network": "main\x1b[1A\x1b[2K  to  f01234\r\n\u202e"}
    (tmp_path / "forged.json").write_text(json.dumps(file))

    sign_file(tmp_path / "forged.json", "n\n")

    said = capsys.readouterr().err
    assert "\\x1b[1A" in said
    assert not {"\x1b", "\r", "\u202e"} & set(said)


def changed(**fields: Any) -> dict[str, Any]:
    file = document(message())
    return {**file, "Messages": [{**file["Messages"][0], **fields}]}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({}, "its Format is not"),
        ([], "its Format is not"),
        ({**document(message()), "Messages": []}, "has no messages"),
        (changed(Message=document(message(value=2))["Messages"][0]["Message"]), "was changed on its way"),
        (changed(SignBytes="00"), "was changed on its way"),
        (changed(SignBytes="x"), "message 1 cannot be read"),
        (changed(Message=[]), "message 1 cannot be read"),
        (document(message(from_=address_parse("f01000"))), "only f1 and f3 keys sign offline"),
        (document(message(from_=key_address(fixed_key("secp256k1", 9)))), "record not found"),
        (document(message(method=4711)), "with these parameters is unknown"),
    ],
)
def test_what_cannot_be_signed_is_refused_in_words(
    sign_file: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str], file: Any, words: str
) -> None:
    (tmp_path / "wrong.json").write_text(json.dumps(file))

    assert sign_file(tmp_path / "wrong.json", "y\n") == 1

    assert words in capsys.readouterr().err
    assert not (tmp_path / "wrong.signed.json").exists()


def test_no_answer_is_a_no_and_the_exported_file_is_never_written_over(
    sign_file: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = exported(tmp_path, message())
    before = file.read_text()

    assert sign_file(file, "") == 1
    assert sign_file(file, "y\n", "--output", str(file)) == 1

    assert "need a file of their own" in capsys.readouterr().err
    assert file.read_text() == before
