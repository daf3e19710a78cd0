"""Offline signing on its pages: export, the file and its QR codes, signatures that come back, withdrawal."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.messages.models import Message, Sender
from apps.messages.services.offline import offline_key_add
from apps.messages.states import EXPORT_WITHIN, MessageState
from apps.users.models import AuditEntry, User
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.keys import KEY_SECP256K1, KeyInfo, key_address, key_generate, key_sign
from poolsite.wire.offline_files import document_read, frames_make
from tests import people
from tests.messaging import Pool, pool_world
from tests.page_client import signed_in, text_of
from tests.page_words import english_of
from workers.signer.commands import main
from workers.signer.encryption import Cost
from workers.signer.keystore import KeyStore


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    people.person()
    people.operator_person()
    with pool_world(monkeypatch) as made:
        yield made


@pytest.fixture
def key(pool: Pool) -> KeyInfo:
    """A key of alice that nobody here holds."""
    made = key_generate(KEY_SECP256K1)
    pool.node.balances[address_of(made)] = 100 * 10**18
    offline_key_add(principal=SYSTEM, tenant=people.tenant("alice"), address=address_of(made), label="vault")
    return made


def address_of(key: KeyInfo) -> str:
    return str(key_address(key))


def exported(pool: Pool, key: KeyInfo, *names: str) -> list[Message]:
    """Messages of these ids, exported by the page."""
    for name in names:
        pool.push(name, address_of(key))
    ids = [pool.row(name).pk for name in names]
    answer = signed_in().post(reverse("offline-export", args=[address_of(key)]), {"ids": ids})
    assert answer.headers["location"] == reverse("offline-sign", args=[address_of(key)])
    return [pool.row(name) for name in names]


def made_line(row: Message, key: KeyInfo) -> str:
    """What a person pastes: the CID, and what `lotus wallet sign` printed."""
    cid = row.chain_message().cid
    return f"{cid} {bytes(key_sign(key, cid.data)).hex()}"


def bring(text: str = "", *files: str) -> Any:
    uploads = [SimpleUploadedFile(f"{at}.json", one.encode()) for at, one in enumerate(files)]
    return signed_in().post(reverse("offline-signatures"), {"text": text, "files": uploads})


def test_an_operator_names_a_key_and_takes_the_name_back(pool: Pool) -> None:
    browser, key = signed_in("olga"), key_generate(KEY_SECP256K1)
    address = address_of(key)
    assert "No key is kept offline" in text_of(browser.get("/offline/"))
    assert signed_in().get("/offline/new/").status_code == 404

    wrong = browser.post("/offline/new/", {"address": "f01000", "tenant": "alice"})
    assert (wrong.status_code, "must be a key of type secp256k1 or BLS" in text_of(wrong)) == (422, True)
    assert (
        browser.post("/offline/new/", {"address": address, "label": "safe", "tenant": "alice"}).status_code
        == 302
    )

    assert "No message waits for this key." in text_of(signed_in().get("/offline/"))
    assert 'href="/offline/"' in text_of(signed_in().get(reverse("senders")))
    remove = reverse("offline-key-remove", args=[address])
    assert signed_in().post(remove).status_code == 404
    assert "then wait for a connected signer" in text_of(browser.post(remove))
    assert Sender.objects.get(address=address).is_offline, "the first click asks"
    assert browser.post(remove, {"sure": "yes"}).status_code == 302
    assert not Sender.objects.get(address=address).is_offline


def test_ticked_messages_are_exported_as_a_file_and_as_codes(pool: Pool, key: KeyInfo) -> None:
    address = address_of(key)
    pool.push("left", address)
    one, two = exported(pool, key, "one", "two")
    assert (one.nonce, two.nonce, pool.row("left").nonce) == (0, 1, None)
    browser = signed_in()

    page = text_of(browser.get(f"/offline/{address}/sign/"))
    file = browser.get(f"/offline/{address}/unsigned.json")

    document = json.loads(file.content)
    name = file.headers["content-disposition"].split('"')[1]
    assert f"python -m workers signer sign-file {name}" in page
    assert [entry["Id"] for entry in document["Messages"]] == ["one", "two"]
    assert f"lotus wallet sign {address} {document['Messages'][0]['SignBytes']}" in page
    total = len(frames_make(document))
    assert f'alt="QR code 1 of {total}"' in page
    assert f"code={2}" in page, "the next one"
    for at in range(1, total + 1):
        drawing = browser.get(f"/offline/{address}/code.svg?code={at}")
        assert (drawing.headers["content-type"], b"<svg" in drawing.content) == ("image/svg+xml", True)
    for at_wrong in (str(total + 1), "0", "x", "0000011999"):
        assert browser.get(f"/offline/{address}/code.svg?code={at_wrong}").status_code == 404
    single = json.loads(browser.get(f"/offline/{address}/unsigned.json?message={two.pk}").content)
    assert [entry["Id"] for entry in single["Messages"]] == ["two"]
    assert AuditEntry.objects.filter(action="message.export").count() >= 4, "who was handed what"


def test_codes_are_put_together_in_any_order_and_never_from_two_files() -> None:
    document = {
        "Format": "poolsite-offline/1",
        "Messages": [{"Id": f"a  {n} ü", "x": "y" * 300} for n in range(4)],
    }
    codes = frames_make(document)

    assert len(codes) > 2
    assert all(code.isascii() and len(code) <= 480 and code == code.strip() for code in codes)
    assert document_read("\n".join([*reversed(codes), codes[0], ""])) == document
    for text, reason in (
        ("\n".join(codes[:-1]), f"codes {len(codes)} of {len(codes)} are missing"),
        ("\n".join([*codes, frames_make({"Format": "x"})[0]]), "a code of another file"),
        ("\n".join([codes[0], "something else"]), "line 2 is no code"),
        ("\n".join([codes[0].replace("y", "z"), *codes[1:]]), "were not read right"),
        ("{", "no JSON"),
    ):
        with pytest.raises(Exception, match=reason):
            document_read(text)


def test_signatures_come_back_pasted_and_by_files(pool: Pool, key: KeyInfo) -> None:
    rows = exported(pool, key, "one", "two", "three")
    lines = [made_line(row, key) for row in rows]
    cid, signature = lines[1].split()

    assert bring(lines[0]).headers["location"] == "/offline/"
    answer = bring("", json.dumps({"CID": cid, "Signature": signature}), lines[2])

    assert answer.status_code == 302
    assert {nonce for _, nonce in pool.node.pool} == {0, 1, 2}
    assert all(bool(pool.row(name).signed) for name in ("one", "two", "three"))


def test_our_signer_signs_the_downloaded_file(
    pool: Pool, key: KeyInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(pool, key, "one", "two")
    file = tmp_path / "unsigned.json"
    file.write_bytes(signed_in().get(f"/offline/{address_of(key)}/unsigned.json").content)
    store = KeyStore(tmp_path, cost=Cost(time=1, memory_kib=8, lanes=1))
    store.password_set("sesame")
    store.add(key)
    (tmp_path / "password").write_text("sesame")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\n"))

    assert main(["sign-file", str(file), "--dir", str(tmp_path)]) == 0
    answer = bring("", (tmp_path / "unsigned.signed.json").read_text())

    assert answer.status_code == 302
    assert {nonce for _, nonce in pool.node.pool} == {0, 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "paste signatures, or choose a file"),
        ("hello", "a CID and a signature in hexadecimal in each line"),
        ("[{", "this is no JSON"),
        ("{}", "entry 1 is no signed message"),
        ("bafy00 01", "entry 1 is no signed message"),
    ],
)
def test_what_is_no_signature_is_refused_and_stays_typed(
    pool: Pool, key: KeyInfo, text: str, reason: str
) -> None:
    exported(pool, key, "one")

    page = bring(text)

    assert (page.status_code, reason in text_of(page)) == (422, True), text_of(page)
    assert pool.row("one").is_exported


def test_a_wrong_signature_is_named_and_the_right_one_beside_it_counts(pool: Pool, key: KeyInfo) -> None:
    one, two = exported(pool, key, "one", "two")

    page = bring("\n".join([made_line(one, key_generate(KEY_SECP256K1)), made_line(two, key)]))

    assert page.status_code == 422
    for part in (f"Signature of {one.chain_message().cid} refused", "not the signature of", "Signed:"):
        assert part in text_of(page), part
    assert (pool.row("one").is_exported, bool(pool.row("two").signed)) == (True, True)
    assert (address_of(key), 1) in pool.node.pool
    file = bring("", "{")
    assert "0.json: this is no JSON" in text_of(file)


def test_what_waits_is_shown_with_its_time_and_withdrawn_after_a_review(pool: Pool, key: KeyInfo) -> None:
    (one,) = exported(pool, key, "one")
    pool.push("two", address_of(key))
    browser = signed_in()

    page = text_of(browser.get("/offline/"))

    assert one.exported_at is not None
    assert f'data-until="{int((one.exported_at + EXPORT_WITHIN).timestamp())}"' in page
    for part in (
        "exported",
        "not exported",
        "Messages that wait for an export: 1, for a signature: 1.",
    ):
        assert part in page, part
    Message.objects.filter(pk=one.pk).update(exported_at=one.exported_at - EXPORT_WITHIN)
    assert "overdue" in text_of(browser.get("/offline/"))
    detail = text_of(browser.get(reverse("message", args=[one.pk])))
    withdraw = reverse("message-withdraw-export", args=[one.pk])
    assert withdraw in detail
    assert "Nonce assigned, exported" in detail
    assert reverse("message-cancel", args=[one.pk]) not in detail, "which would be refused"
    assert reverse("offline") in text_of(browser.get(reverse("sender", args=[address_of(key)])))
    review = text_of(browser.get(withdraw))
    assert "its nonce goes to what is exported next" in review
    assert "Push the same again only once this nonce is used" in review
    assert browser.post(withdraw).status_code == 302
    assert pool.row("one").state == MessageState.FAILED
    again = browser.post(withdraw)
    assert (again.status_code, "does not wait for a signature" in text_of(again)) == (422, True)


def test_an_export_says_what_keeps_it_back(pool: Pool, key: KeyInfo) -> None:
    pool.node.balances[address_of(key)] = 0
    pool.push("one", address_of(key))
    browser, export = signed_in(), reverse("offline-export", args=[address_of(key)])

    nothing = browser.post(export, {"gas_fee_cap": "2"})
    refused = browser.post(export, {"ids": [pool.row("one").pk], "gas_fee_cap": "2"})
    garbled = browser.post(export, {"ids": [pool.row("one").pk], "gas_fee_cap": "much"})

    assert "tick the messages to export" in text_of(nothing)
    assert re.search(r"one: .*balance", text_of(refused)), text_of(refused)
    assert "enter an amount in nFIL" in text_of(garbled)
    assert pool.row("one").nonce is None


def test_strangers_and_readers_neither_see_nor_do_anything(
    pool: Pool, key: KeyInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = exported(pool, key, "one")
    people.person("bill", of="bob")
    bill = signed_in("bill")

    assert "vault" not in text_of(bill.get("/offline/"))
    for page in ("sign/", "code.svg", "unsigned.json"):
        assert bill.get(f"/offline/{address_of(key)}/{page}").status_code == 404
    assert bill.get(reverse("message-withdraw-export", args=[one.pk])).status_code == 404
    sent = bill.post(reverse("offline-signatures"), {"text": made_line(one, key)})
    assert "no message with this CID was exported" in text_of(sent)
    assert pool.row("one").is_exported


def test_the_pages_are_in_chinese(pool: Pool, key: KeyInfo) -> None:
    (one,) = exported(pool, key, "one")
    pool.push("two", address_of(key))
    User.objects.update(language="zh-hans")
    pages = [
        "/offline/",
        f"/offline/{address_of(key)}/sign/",
        reverse("message", args=[one.pk]),
        reverse("message-withdraw-export", args=[one.pk]),
    ]
    found = {
        page: english_of(text_of(signed_in(name).get(page))) for page in pages for name in ("ann", "olga")
    }
    found["new"] = english_of(text_of(signed_in("olga").get("/offline/new/")))
    found["remove"] = english_of(
        text_of(signed_in("olga").post(reverse("offline-key-remove", args=[address_of(key)])))
    )

    assert {page: texts for page, texts in found.items() if texts} == {}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["x", "\u2603"])
def test_what_is_no_address_is_no_offline_key(address: str) -> None:
    people.operator_person("olga")
    client = signed_in("olga")

    shown = [client.get(reverse(f"offline-{part}", args=[address])) for part in ("sign", "code", "file")]
    removed = client.post(reverse("offline-key-remove", args=[address]))

    assert {answer.status_code for answer in shown} == {404}
    assert "is not kept offline" in text_of(removed)
