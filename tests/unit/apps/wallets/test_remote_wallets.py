"""Wallets that the pool connects to: their keys prove themselves and sign, and whatever ails them is said."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from apps.core.errors import BadValue, Conflict, DomainError, NotFound
from apps.gateway.errors import SignerAway
from apps.gateway.providers.hub_node import hub_node
from apps.gateway.services.signatures import wallet_sign
from apps.users.models import AuditEntry, SignerGrant, Tenant
from apps.users.rules.principals import SYSTEM
from apps.wallets.errors import NoPolicy
from apps.wallets.models import RemoteWallet
from apps.wallets.providers import remote_wallet
from apps.wallets.selectors import remote_wallet_keys, remote_wallets
from apps.wallets.services.policies import policy_read, signer_refusal_find
from apps.wallets.services.remote_wallets import (
    remote_wallet_add,
    remote_wallet_remove,
    remote_wallet_set,
    remote_wallets_acquire,
)
from apps.wallets.services.signed_ids import signed_ids_read
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.keys import key_address, key_sign
from poolsite.filecoin.message import Message
from poolsite.filecoin.signature import signature_to_json, signature_verify
from tests import factories
from tests.integration.pools import wait_until
from tests.keys import fixed_key
from tests.people import principal, tenant

pytestmark = pytest.mark.django_db(transaction=True)
KEYS = {str(key_address(info)): info for info in (fixed_key("bls"), fixed_key("secp256k1"))}
BLS, SECP = KEYS
SOON_S = 30


class LotusWallet:
    """What lotus' wallet and venus-wallet answer to calls; `types` are the purposes for which it signs."""

    def __init__(self) -> None:
        self.keys = dict(KEYS)
        self.types = {"verifyaddress", "unknown", "message"}
        self.token = "s3cret"  # of this test
        self.asked: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def answer(self, method: str, params: list[Any]) -> Any:
        """Answer one call."""
        self.asked.append(method)
        self.may_answer.wait(SOON_S)
        if method == "Filecoin.WalletList":
            return [f"t{address[1:]}" for address in self.keys]
        address, to_sign, meta = params
        if meta["Type"] not in self.types:
            raise ValueError(f"get sign bytes: unsupported msgtype:{meta['Type']}")
        key = self.keys[f"f{address[1:]}"]
        return signature_to_json(key_sign(key, base64.b64decode(to_sign)))

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve it; gives its URL."""
        wallet = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply: dict[str, Any] = {"jsonrpc": "2.0", "id": body["id"]}
                status = 200 if self.headers["Authorization"] == f"Bearer {wallet.token}" else 401
                try:
                    reply["result"] = wallet.answer(body["method"], body["params"]) if status == 200 else None
                except ValueError as error:
                    reply["error"] = {"code": 1, "message": str(error)}
                data = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)


@pytest.fixture
def wallet() -> LotusWallet:
    return LotusWallet()


@pytest.fixture
def url(wallet: LotusWallet) -> Iterator[str]:
    with wallet.served() as url:
        yield url


@pytest.fixture
def process(transactional_db: None, pool_redis: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A web process that looks for remote wallets often."""
    monkeypatch.setattr(remote_wallet, "HOLD_EVERY_S", 0.1)
    monkeypatch.setattr(remote_wallet, "LIST_EVERY_S", 0.1)
    monkeypatch.setattr(remote_wallet, "REFUSED_S", 0.1)
    end = threading.Event()

    async def whole() -> None:
        serving = asyncio.create_task(remote_wallet.remote_wallets_serve(hub_node()))
        while not end.is_set():
            await asyncio.sleep(0.02)
        others = [serving, *(task for task in asyncio.all_tasks() if task is not asyncio.current_task())]
        await hub_node().stop()
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(whole()), daemon=True)
    thread.start()
    yield
    end.set()
    thread.join(30)
    assert not thread.is_alive()


def added(url: str, **how: Any) -> RemoteWallet:
    given = {"name": "cold", "token": "s3cret", "tenant": tenant("alice"), "principal": SYSTEM, **how}
    return remote_wallet_add(url=url, **given)


def serves(row: RemoteWallet, *addresses: str) -> None:
    def found() -> bool:
        row.refresh_from_db()
        return set(remote_wallet_keys([row]).get(row.pk, [])) == set(addresses) and bool(row.answered_at)

    wait_until(found, within_s=SOON_S, what=lambda: f"keys {addresses}: {row.error}")


def says(row: RemoteWallet, words: str) -> None:
    def found() -> bool:
        row.refresh_from_db()
        return words in row.error

    wait_until(found, within_s=SOON_S, what=lambda: f"{words!r}, not {row.error!r}")


def signed(address: str = SECP, *, timeout_s: float = SOON_S) -> None:
    signature = wallet_sign(
        address=address, accounts=["alice"], to_sign=b"bytes", meta_type="message", timeout_s=timeout_s
    )
    signature_verify(signature, address_parse(address), b"bytes")


def test_its_keys_prove_themselves_are_granted_and_sign(process: None, url: str) -> None:
    row = added(url)

    serves(row, BLS, SECP)

    signed(BLS)
    signed(SECP)
    assert {grant.address for grant in SignerGrant.objects.filter(tenant__name="alice")} == set(KEYS)
    row.refresh_from_db()
    assert row.error == ""


def test_it_keeps_no_ids_and_has_no_policy_which_holds_nothing_up(process: None, url: str) -> None:
    serves(added(url), BLS, SECP)
    factories.wallet(SECP)

    # A restored pool asks its signers what they signed: it would wait for one that does not answer.
    assert signed_ids_read(SECP, pool=uuid.uuid4(), cids=["bafy"]) == {}
    message = Message(to=address_parse(SECP), from_=address_parse(SECP), gas_limit=1)
    assert signer_refusal_find(SYSTEM, address=SECP, message=message, method="Send") == ""
    with pytest.raises(NoPolicy, match="not a Poolsite signer"):
        policy_read(SYSTEM, address=SECP)


def test_a_wallet_that_takes_no_gateways_challenge_signs_it_as_plain_bytes(
    process: None, url: str, wallet: LotusWallet
) -> None:
    wallet.types = {"unknown", "message"}

    serves(added(url), BLS, SECP)

    signed()


def test_a_key_that_cannot_prove_itself_does_not_serve_and_is_named(
    process: None, url: str, wallet: LotusWallet
) -> None:
    wallet.keys[BLS] = KEYS[SECP]  # it says that it has a key that is another's
    row = added(url)

    serves(row, SECP)

    says(row, BLS)
    assert not SignerGrant.objects.filter(address=BLS).exists()


def test_keys_come_and_go_with_the_wallets_list(process: None, url: str, wallet: LotusWallet) -> None:
    key = wallet.keys.pop(BLS)
    row = added(url)
    serves(row, SECP)

    wallet.keys[BLS] = key
    serves(row, BLS, SECP)
    del wallet.keys[SECP]
    serves(row, BLS)


def test_what_ails_it_is_said_and_it_serves_once_that_is_mended(
    process: None, url: str, wallet: LotusWallet
) -> None:
    wallet.token = "another"  # of this test
    row = added(url)
    says(row, "refuses the token (HTTP 401)")

    wallet.token = "s3cret"  # of this test

    serves(row, BLS, SECP)
    says(row, "")


def test_a_wallet_that_is_away_serves_no_key_until_it_is_back(
    process: None, url: str, wallet: LotusWallet
) -> None:
    row = added(url)
    serves(row, BLS, SECP)

    wallet.token = "another"  # of this test
    wait_until(lambda: not remote_wallet_keys([row]), within_s=SOON_S, what="no key")
    says(row, "refuses the token")
    wallet.token = "s3cret"  # of this test

    serves(row, BLS, SECP)


def test_a_wallet_that_hangs_holds_up_no_other(process: None, url: str, wallet: LotusWallet) -> None:
    other = LotusWallet()
    other.keys = {BLS: KEYS[BLS]}
    wallet.keys = {SECP: KEYS[SECP]}
    with other.served() as place:
        serves(added(url), SECP)
        serves(added(place, name="hot"), BLS)
        wallet.may_answer.clear()
        try:
            with ThreadPoolExecutor(32) as callers:
                hanging = [callers.submit(pytest.raises, DomainError, signed, timeout_s=3) for _ in range(32)]
                wait_until(lambda: len(wallet.asked) > 8, within_s=SOON_S, what="calls that hang")
                began = time.monotonic()
                signed(BLS)
                assert time.monotonic() - began < 2
            assert all(one.result() for one in hanging)
        finally:
            wallet.may_answer.set()
        signed()
    assert wallet.asked.count("Filecoin.WalletSign") <= 10, "what nobody waits for any more is not asked for"


def test_while_it_is_off_or_gone_it_signs_nothing(process: None, url: str) -> None:
    row = added(url)
    serves(row, BLS, SECP)

    remote_wallet_set(principal=SYSTEM, uuid=row.uuid, is_enabled=False)
    wait_until(lambda: not remote_wallet_keys([row]), within_s=SOON_S, what="no key")
    with pytest.raises(SignerAway):
        wallet_sign(address=SECP, accounts=["alice"], to_sign=b"x", meta_type="message", timeout_s=0.5)
    remote_wallet_set(principal=SYSTEM, uuid=row.uuid, is_enabled=True)
    serves(row, BLS, SECP)
    remote_wallet_remove(principal=SYSTEM, uuid=row.uuid)

    def is_away() -> bool:
        try:
            wallet_sign(address=SECP, accounts=["alice"], to_sign=b"x", meta_type="message", timeout_s=0.5)
        except SignerAway:
            return True
        return False

    wait_until(is_away, within_s=SOON_S, what="a signer that is away")


def test_what_a_tenant_names_must_be_public(process: None, url: str, wallet: LotusWallet) -> None:
    alice = principal("alice", perm="admin")
    for near in (url, "http://[::1]", "https://[fd00::1]:5678"):
        with pytest.raises(BadValue, match="no public address"):
            added(near, principal=alice)

    row = added(url.replace("127.0.0.1", "localhost.localdomain"), principal=alice)

    says(row, "does not respond")
    assert wallet.asked == []


def test_one_process_holds_a_wallet_until_it_does_not_say_so_any_more() -> None:
    row = added("http://127.0.0.1:1")

    assert [one.pk for one in remote_wallets_acquire(process="one")] == [row.pk]
    assert remote_wallets_acquire(process="two") == []
    RemoteWallet.objects.update(held_until="2020-01-01T00:00:00Z")
    assert [one.pk for one in remote_wallets_acquire(process="two")] == [row.pk]
    assert remote_wallets_acquire(process="one") == []
    Tenant.objects.update(enabled=False)
    assert remote_wallets_acquire(process="two") == []


def test_a_tenant_has_so_many_wallets_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.wallets.services.remote_wallets.WALLETS_MAX", 1)
    added("http://10.0.0.7")

    with pytest.raises(Conflict, match="1 wallets already"):
        added("http://10.0.0.7", name="other")

    added("http://10.0.0.7", tenant=tenant("bob"))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("/ip4/10.0.0.7/tcp/5678/http", "http://10.0.0.7:5678/rpc/v0"),
        ("https://wallet.example/rpc/v0", "https://wallet.example/rpc/v0"),
        ("ws://10.0.0.7:1777", "http://10.0.0.7:1777/rpc/v0"),
    ],
)
def test_addresses_are_read_as_programs_of_the_field_write_them(url: str, place: str) -> None:
    assert added(url).url == place


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "nonsense"}, "url"),
        ({"url": "http://me:s3cret@10.0.0.7"}, "url"),
        ({"name": " "}, "name"),
        ({"token": "a\nb"}, "token"),
    ],
)
def test_a_bad_field_is_named(given: dict[str, str], field: str) -> None:
    with pytest.raises(BadValue) as refused:
        added(**{"url": "http://10.0.0.7", **given})
    assert refused.value.field == field
    assert not RemoteWallet.objects.exists()


def test_a_token_is_kept_encrypted_and_the_audit_has_no_word_of_it() -> None:
    row = added("http://10.0.0.7", token="")
    with pytest.raises(Conflict):
        added("http://10.0.0.8")
    named = added("eyJh.eyJi.c:/ip4/10.0.0.7/tcp/1/http", name="other", token="")

    assert "eyJh" not in named.token
    assert row.token
    lines = AuditEntry.objects.values_list("action", "before", "after")
    assert [line[0] for line in lines] == ["remote-wallet.add"] * 2
    assert "eyJh" not in str(list(lines))


def test_a_stranger_neither_sees_nor_changes_it() -> None:
    row = added("http://10.0.0.7")
    bob = principal("bob", perm="admin")

    assert list(remote_wallets(bob)) == []
    assert list(remote_wallets(principal("alice"))) == [row]
    for change in (
        lambda: remote_wallet_set(principal=bob, uuid=row.uuid, is_enabled=False),
        lambda: remote_wallet_remove(principal=bob, uuid=row.uuid),
    ):
        with pytest.raises(NotFound):
            change()
