"""Market 2.0 over HTTP: who is let in, what each request answers, as Curio's client reads it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from apps.api.mk20 import views
from apps.api.mk20.auth import BadAuth, auth_digest, client_authenticate
from apps.core import clock
from apps.market.models import Deal
from apps.market.rules import ulid_decode
from apps.market.services import transfers
from apps.market.services.follow import deals_advance, deals_join
from apps.market.services.markets import market_set
from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from apps.pieces.services.retention import RESUMABLE_RETENTION, pieces_tidy
from apps.users.services import rate_limit_buckets
from poolsite.filecoin.piece_cids import SizedPiece
from tests import factories, people
from tests.killed_writes import killed_until_done
from tests.mk20 import PATH, Mk20Client, document, ulid

pytestmark = pytest.mark.django_db

DATA = bytes(number % 251 for number in range(1500))
OTHER = DATA[::-1]


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    factories.head(1000)
    row = factories.miner(2001)
    market_set(row, values={"is_open": True}, by=people.principal())
    return row


@pytest.fixture
def who() -> Mk20Client:
    return Mk20Client()


def accepted(client: Client, who: Mk20Client, miner: Miner, **changes: Any) -> str:
    body = document(who, miner, DATA, **changes)
    answer = who.ask(client, "POST", "/deal", body)
    assert (answer.status_code, answer.content) == (200, b"Reason: ")
    name: str = body["identifier"]
    return name


def status(client: Client, who: Mk20Client, name: str) -> dict[str, str]:
    answer = who.ask(client, "GET", f"/status/{name}")
    assert answer.status_code == 200
    found: dict[str, str] = answer.json()["ddo_v1"]
    return found


def go_on() -> None:
    deals_join()
    deals_advance(height=1000, now=clock.now())


@pytest.mark.parametrize("key_type", ["secp256k1", "bls"])
def test_a_clients_key_lets_it_in_whatever_kind_it_is(client: Client, miner: Miner, key_type: str) -> None:
    who = Mk20Client(key_type)

    name = accepted(client, who, miner)

    assert status(client, who, name) == {"status": "uploading", "errorMsg": ""}
    assert Deal.objects.get().client == who.address


def test_the_signed_bytes_are_those_of_curios_client() -> None:
    at = datetime(2026, 11, 28, 21, 0, 59, tzinfo=UTC)
    owner = bytes.fromhex("01" + "ab" * 20)

    digest = auth_digest(owner, method="post", path="/market/mk20/deal", now=at)

    # client/auth.go: sha256(key ‖ METHOD ‖ path ‖ minute)
    assert digest.hex() == "419b8ebd329ab85d8170b3254e15a6a9c75c8d20ce12dd8a43f8c33a9dc7805b"


@pytest.mark.parametrize("minutes", [-1, 0, 1])
def test_the_minutes_beside_ours_are_fine(who: Mk20Client, minutes: int) -> None:
    now = datetime.now(UTC)
    header = who.header("GET", "/x", at=now + timedelta(minutes=minutes))["Authorization"]

    assert client_authenticate(header, method="GET", path="/x", now=now) == who.address


@pytest.mark.parametrize(
    "change",
    [
        lambda who: {
            "Authorization": who.header("GET", "/x", at=datetime(2020, 1, 1, tzinfo=UTC))["Authorization"]
        },
        lambda who: who.header("PUT", "/x"),
        lambda who: who.header("GET", "/y"),
        lambda who: {"Authorization": "Bearer x"},
        lambda who: {"Authorization": "CurioAuth secp256k1:x"},
        lambda who: {"Authorization": "CurioAuth secp256k1:é:é"},
        lambda who: {"Authorization": "CurioAuth rsa:QUJD:QUJD"},
        lambda who: {"Authorization": "CurioAuth secp256k1:QUJD:QUJD"},
        lambda who: {"Authorization": who.header("GET", "/x")["Authorization"].rpartition(":")[0] + ":"},
        lambda who: {"Authorization": f"CurioAuth secp256k1:{base64.b64encode(bytes(21)).decode()}:AQ=="},
    ],
)
def test_who_did_not_sign_this_request_is_refused(who: Mk20Client, change: Any) -> None:
    with pytest.raises(BadAuth):
        client_authenticate(change(who)["Authorization"], method="GET", path="/x", now=datetime.now(UTC))


def test_a_request_without_a_good_signature_changes_nothing(
    client: Client, miner: Miner, who: Mk20Client
) -> None:
    body = json.dumps(document(who, miner, DATA))

    none = client.post(f"{PATH}/deal", body, content_type="application/json")
    wrong = client.post(
        f"{PATH}/deal", body, content_type="application/json", headers=who.header("POST", f"{PATH}/status")
    )

    assert (none.status_code, none.content) == (401, b"Missing Authorization header\n")
    assert (wrong.status_code, wrong.content) == (401, b"Unauthorized\n")
    assert not Deal.objects.exists()


def test_a_client_hears_of_its_own_deals_only(client: Client, miner: Miner, who: Mk20Client) -> None:
    name = accepted(client, who, miner)
    other = Mk20Client(seed=8)

    for method, path in (
        ("GET", f"/status/{name}"),
        ("POST", f"/uploads/{name}"),
        ("GET", f"/uploads/{name}"),
        ("PUT", f"/upload/{name}"),
        ("POST", f"/upload/{name}"),
        ("PUT", f"/uploads/{name}/1"),
        ("POST", f"/uploads/finalize/{name}"),
        ("POST", f"/update/{name}"),
        ("GET", f"/status/{ulid()}"),
    ):
        answer = other.ask(client, method, path, b"x" if method == "PUT" else None)
        assert (answer.status_code, answer.content) == (401, b"Unauthorized\n"), (method, path)
    assert Deal.objects.get().state == "ACCEPTED"
    assert not Piece.objects.exists()


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"provider": "f09"}, 400, "Provider not available in this pool"),
        ({"provider": ""}, 425, "products validation failed: provider address is not set"),
        ({"start_epoch": 0}, 425, "products validation failed: start epoch cannot be negative"),
        ({"allocation_id": 0}, 425, "products validation failed: incorrect allocation id"),
        ({"start_epoch": 999}, 400, "Start epoch is less than the current chain height"),
        ({"duration": 5}, 441, "duration must be at least"),
        ({"market_address": "0x" + "1" * 40}, 400, "provider does not work with this market"),
        (
            {"notification_address": "f01", "notification_payload": "AA=="},
            425,
            "products validation failed: notifications are not supported by the provider",
        ),
        ({"source": {}}, 400, "no source defined for data source"),
        ({"source": {"source_http": {"urls": []}}}, 430, "no urls defined"),
        (
            {"source": {"source_http": {"urls": [{"url": "ftp://a/b", "headers": {}}]}}},
            400,
            "invalid url: must be an http:// or https:// URL",
        ),
        (
            {"source": {"source_http": {"urls": [{"url": "http://a.example/\0", "headers": {}}]}}},
            400,
            "invalid url: is not a valid URL",
        ),
        (
            {"source": {"source_http": {"urls": [{"url": "http://a.example/\ud800", "headers": {}}]}}},
            400,
            "invalid url: is not a valid URL",
        ),
        (
            {"piece": SizedPiece(bytes(31) + b"\x01", 127 << 56)},
            400,
            "Deal size is larger than the miner's sector size",
        ),
        (
            {"source": {"source_http": {"urls": [{"url": "http://a/b", "headers": {"Host": ["b"]}}]}}},
            400,
            "invalid url: has a header that is not the client's: Host",
        ),
        (
            {"source": {"source_http": {"urls": [{"url": "http://a/b", "headers": {"A": ["b\r\nC: d"]}}]}}},
            400,
            "invalid url: has a header that cannot be sent",
        ),
        ({"source": {"source_http_put": {}, "source_offline": {}}}, 400, "multiple sources defined"),
        ({"source": {"source_aggregate": {"pieces": []}}}, 422, "data source aggregate is not supported"),
        ({"format": {}}, 400, "no format defined"),
        ({"format": {"raw": {}, "car": {}}}, 400, "multiple formats defined"),
        ({"format": {"aggregate": {"type": 1, "sub": []}}}, 430, "aggregate type not supported"),
        ({"identifier": "x"}, 400, "invalid id in url"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_proposal_that_is_refused_says_why_and_leaves_no_deal(
    client: Client, miner: Miner, who: Mk20Client, changes: dict[str, Any], code: int, reason: str
) -> None:
    answer = who.ask(client, "POST", "/deal", document(who, miner, DATA, **changes))

    assert answer.status_code == code, answer.content
    assert answer.content.decode().startswith(f"Reason: {reason}")
    assert not Deal.objects.exclude(state="REFUSED").exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda body: body.update(client=factories.secp(3)), "client in deal does not match"),
        (lambda body: body.update(client=""), "client is empty"),
        (lambda body: body.pop("data"), "Data Source must be defined for a DDO deal"),
        (lambda body: body["data"].update(piece_cid={"/": factories.piece_cid(1)}), "piece cid is not raw"),
        (lambda body: body["data"].update(piece_cid=None), "piece cid is not defined"),
        (lambda body: body["data"].update(piece_cid={"/": "x"}), "invalid piece cid"),
        (lambda body: body["products"].pop("retrieval_v1"), "products validation failed: retrieval v1"),
        (
            lambda body: body["products"]["retrieval_v1"].update(announce_piece=True),
            "products validation failed: announce piece",
        ),
        (
            lambda body: body["products"]["retrieval_v1"].update(announce_payload=True),
            "products validation failed: deal cannot be announced",
        ),
        (lambda body: body["products"]["retrieval_v1"].update(indexing=True), "Raw bytes deal cannot be"),
        (lambda body: body["products"].update(pdp_v1={}), "products validation failed: product pdp_v1"),
        (lambda body: body["products"].pop("ddo_v1"), "products validation failed: no products"),
        (lambda body: body["products"]["ddo_v1"].update(duration="x"), "json: cannot unmarshal duration"),
        (lambda body: body["products"]["ddo_v1"].update(provider=[]), "products validation failed: provider"),
        (lambda body: body.update(products=[1]), "json: cannot unmarshal products"),
    ],
)
def test_a_document_that_is_wrong_is_told_so(
    client: Client, miner: Miner, who: Mk20Client, change: Any, reason: str
) -> None:
    body = document(who, miner, DATA)
    change(body)

    answer = who.ask(client, "POST", "/deal", body)

    assert answer.status_code in (400, 423, 425)
    assert answer.content.decode().startswith(f"Reason: {reason}")
    assert not Deal.objects.exists()


def test_what_is_no_json_is_refused(client: Client, miner: Miner, who: Mk20Client) -> None:
    path = f"{PATH}/deal"
    for body, kind, reason in (
        ("{", "application/json", b"Reason: invalid json"),
        ("{}", "text/plain", b"Reason: invalid content type"),
        ("[" * 9999, "application/json", b"Reason: invalid json"),
        ('"' + "x" * (1 << 20) + '"', "application/json", b"Reason: request body too large"),
    ):
        answer = client.post(path, body, content_type=kind, headers=who.header("POST", path))
        assert answer.status_code == 400
        assert answer.content.startswith(reason)


def test_a_format_that_is_null_is_none(client: Client, miner: Miner, who: Mk20Client) -> None:
    body = document(who, miner, DATA, format={"car": {}, "raw": None})
    body["products"]["retrieval_v1"]["indexing"] = True

    assert who.ask(client, "POST", "/deal", body).content == b"Reason: "


def test_urls_are_tried_by_priority_and_fallbacks_last(client: Client, miner: Miner, who: Mk20Client) -> None:
    urls = [
        {"url": "https://a.example/f", "headers": {}, "priority": 0, "fallback": True},
        {"url": "https://b.example/f", "headers": {"X": ["1", "2"]}, "priority": 9, "fallback": False},
        {"url": "https://c.example/f", "headers": None, "priority": 1, "fallback": False},
    ]

    name = accepted(client, who, miner, source={"source_http": {"urls": urls}})

    assert [one.url[8] for one in transfers.places_decode(Deal.objects.get())] == ["c", "b", "a"]
    assert status(client, who, name)["status"] == "accepted"


def test_the_same_proposal_again_is_the_same_deal_and_another_is_not(
    client: Client, miner: Miner, who: Mk20Client
) -> None:
    name = accepted(client, who, miner)
    assert accepted(client, who, miner, identifier=name) == name

    other = who.ask(client, "POST", "/deal", document(who, miner, DATA, identifier=name, duration=700_000))

    assert (other.status_code, other.content) == (400, b"Reason: deal with this identifier already exists")
    same = document(who, miner, DATA, identifier=name)
    assert who.ask(client, "POST", f"/update/{name}", same).status_code == 200
    same["products"]["ddo_v1"]["duration"] = 700_000
    assert who.ask(client, "POST", f"/update/{name}", same).content == b"an accepted deal cannot be changed\n"
    assert Deal.objects.get().duration == 600_000


def test_data_uploaded_whole_become_the_deals_piece(client: Client, miner: Miner, who: Mk20Client) -> None:
    name = accepted(client, who, miner)
    assert who.ask(client, "POST", f"/upload/{name}").status_code == 400
    wrong = who.ask(client, "PUT", f"/upload/{name}", bytes(1500))
    assert wrong.status_code == 400
    assert b"the bytes have" in wrong.content

    assert who.ask(client, "PUT", f"/upload/{name}", DATA).status_code == 200
    assert who.ask(client, "POST", f"/upload/{name}").status_code == 200
    go_on()

    assert status(client, who, name)["status"] == "processing"
    assert Piece.objects.get().state == "READY"
    assert who.ask(client, "PUT", f"/upload/{name}", DATA).status_code == 404


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ('attachment; filename="a b.car"', "a b.car"),
        ("attachment; filename=\"a.car\"; filename*=UTF-8''%E6%95%B0.car", "数.car"),
        ('attachment; filename="../a.car"', ""),
        ("attachment; filename*=UTF-8''a%E2%80%AEb", ""),
        ("attachment; filename*=nonsense''a", ""),
        (f"attachment; filename={'x' * 256}", ""),
        ("attachment", ""),
    ],
)
def test_file_name_of_an_upload_is_kept_where_it_is_good(
    client: Client, miner: Miner, who: Mk20Client, header: str, kept: str
) -> None:
    name = accepted(client, who, miner)

    answer = who.ask(client, "PUT", f"/upload/{name}", DATA, **{"Content-Disposition": header})

    assert answer.status_code == 200
    assert (Piece.objects.get().file_name, Piece.objects.get().actor) == (kept, f"client {who.address}")


def test_data_uploaded_in_chunks_become_the_deals_piece(
    client: Client, miner: Miner, who: Mk20Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "CHUNK_LEAST", 512)
    name = accepted(client, who, miner)
    assert who.ask(client, "GET", f"/uploads/{name}").status_code == 425
    sizes = {"raw_size": 1500, "chunk_size": 512}
    assert who.ask(client, "POST", f"/uploads/{name}", {"raw_size": 0, "chunk_size": 512}).status_code == 400
    assert who.ask(client, "POST", f"/uploads/{name}", sizes).status_code == 200
    assert who.ask(client, "POST", f"/uploads/{name}", sizes).status_code == 409

    assert who.ask(client, "PUT", f"/uploads/{name}/2", DATA[512:1024]).status_code == 200
    assert who.ask(client, "PUT", f"/uploads/{name}/2", DATA[512:1024]).status_code == 409
    assert who.ask(client, "PUT", f"/uploads/{name}/4", b"x").status_code == 404
    assert who.ask(client, "GET", f"/uploads/{name}").json() == {
        "total_chunks": 3,
        "uploaded": 1,
        "missing": 2,
        "uploaded_chunks": [2],
        "missing_chunks": [1, 3],
    }
    assert who.ask(client, "POST", f"/uploads/finalize/{name}").status_code == 400
    for number in (1, 3):
        part = DATA[512 * (number - 1) : 512 * number]
        assert who.ask(client, "PUT", f"/uploads/{name}/{number}", part).status_code == 200
    body = document(who, miner, DATA, identifier=name)
    assert who.ask(client, "POST", f"/uploads/finalize/{name}", body).status_code == 200
    assert status(client, who, name)["status"] == "accepted"
    go_on()

    assert status(client, who, name)["status"] == "processing"
    assert Piece.objects.get().state == "READY"


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("VERIFIED", "processing"),
        ("SEALING", "sealing"),
        ("ACTIVE", "complete"),
        ("ENDED", "complete"),
        ("FAILED", "failed"),
    ],
)
def test_each_state_has_its_word(
    client: Client, miner: Miner, who: Mk20Client, state: str, word: str
) -> None:
    name = accepted(client, who, miner)
    Deal.objects.update(state=state, reason="because")

    message = "because" if state == "FAILED" else ""
    assert status(client, who, name) == {"status": word, "errorMsg": message}


def test_products_sources_and_contracts_are_listed(client: Client, who: Mk20Client) -> None:
    assert who.ask(client, "GET", "/products").json() == {"products": ["ddo_v1", "retrieval_v1"]}
    assert sorted(who.ask(client, "GET", "/sources").json()["sources"]) == ["http", "offline", "put"]
    assert who.ask(client, "GET", "/contracts").json() == {"contracts": []}
    assert who.ask(client, "DELETE", "/contracts").status_code == 405


def test_a_flood_is_told_to_come_again_before_anything_is_looked_at(
    client: Client, who: Mk20Client, shared_reports: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    counted = rate_limit_buckets.address_request_count

    def slow(what: str, *, address: str, capacity: int, reset_us: int) -> Any:
        assert (capacity, reset_us) == (50, 1_000_000)
        return counted(what, address=address, capacity=5, reset_us=60_000_000)

    monkeypatch.setattr(views, "address_request_count", slow)

    def authenticated(*_args: Any, **_more: Any) -> str:
        looked.append("x")
        return who.address

    monkeypatch.setattr(views, "client_authenticate", authenticated)

    answers = [who.ask(client, "GET", "/products") for _ in range(9)]

    refused = [answer for answer in answers if answer.status_code == 429]
    assert {answer.content for answer in refused} == {b"Please retry in some time.\n"}
    assert (len(looked), len(refused)) == (5, 4)
    assert who.ask(client, "GET", "/sources").status_code == 200, "each route has its own"


def test_ten_good_ones_of_many_are_accepted(client: Client, miner: Miner, who: Mk20Client) -> None:
    bad = document(who, miner, DATA, duration=5)
    good = 0
    for at in range(60):
        one = document(who, miner, DATA) if at % 6 == 0 else bad | {"identifier": ulid()}
        path = f"{PATH}/deal"
        answer = client.post(
            path,
            json.dumps(one),
            content_type="application/json",
            headers=who.header("POST", path),
            REMOTE_ADDR=f"10.0.0.{at}",
        )
        good += answer.status_code == 200

    assert good == 10
    assert Deal.objects.filter(state="ACCEPTED").count() == 10


def test_a_miner_with_too_many_waiting_deals_says_to_come_again(
    client: Client, miner: Miner, who: Mk20Client
) -> None:
    market_set(miner, values={"waiting_deals": 0}, by=people.principal())

    answer = who.ask(client, "POST", "/deal", document(who, miner, DATA))

    assert (answer.status_code, answer.content) == (429, b"Reason: Please retry in some time.")


def test_a_door_killed_at_any_write_makes_one_deal_of_one_piece(
    client: Client, miner: Miner, who: Mk20Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client repeats each request that was cut off, as one does who got no answer."""
    monkeypatch.setattr(transfers, "CHUNK_LEAST", 512)
    whole, parts = ulid(), ulid()
    documents = [
        document(who, miner, data, identifier=name) for name, data in ((whole, DATA), (parts, OTHER))
    ]
    kills, answers = 0, []

    def sent(method: str, path: str, body: Any = None) -> int:
        nonlocal kills
        kills += killed_until_done(lambda: answers.append(who.ask(client, method, path, body)))
        return int(answers[-1].status_code)

    assert [sent("POST", "/deal", body) for body in documents] == [200, 200]
    assert sent("PUT", f"/upload/{whole}", DATA) == 200
    assert sent("POST", f"/upload/{whole}") == 200
    sizes = {"raw_size": len(OTHER), "chunk_size": 512}
    assert sent("POST", f"/uploads/{parts}", sizes) in (200, 409)
    for number in (2, 1, 3):
        part = OTHER[512 * (number - 1) : 512 * number]
        assert sent("PUT", f"/uploads/{parts}/{number}", part) in (200, 409)
    assert sent("POST", f"/uploads/finalize/{parts}") == 200
    kills += killed_until_done(go_on)
    pieces_tidy(now=clock.now() + 2 * RESUMABLE_RETENTION)
    go_on()

    rows = list(Deal.objects.order_by("pk").values_list("uuid", "state", "piece__state"))
    assert rows == [(ulid_decode(name), "VERIFIED", "READY") for name in (whole, parts)]
    pieces = [deal.piece for deal in Deal.objects.order_by("pk")]
    assert [piece and piece_path(piece).read_bytes() for piece in pieces] == [DATA, OTHER]
    assert kills > 10
    assert Piece.objects.count() == 2
    assert not list(Path(settings.PIECES_DIR).glob("*.chunk"))
