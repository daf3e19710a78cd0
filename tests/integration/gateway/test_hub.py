from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from django.db import OperationalError, connection
from django.utils.module_loading import import_string
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from apps.gateway.errors import SignerAway, SignerRefused
from apps.gateway.models import SignerConnection, SignerKey
from apps.gateway.providers import wallet
from apps.gateway.selectors.connections import keys_served
from apps.gateway.services.connection_test import (
    ConnectionTestResult,
    account_approval_revoke_and_disconnect,
    connection_end,
    signer_test,
)
from apps.gateway.services.connections import keys_add
from apps.gateway.services.signatures import RuledSignature, wallet_has
from apps.users.models import AuditEntry, SignerGrant, Tenant, Token
from apps.users.services.grants import account_approve, signer_grant, signer_grant_revoke
from apps.users.services.tenants import tenant_update
from apps.users.services.token_scope import tokens_remove_miner
from apps.users.services.tokens import TokenLimits, token_revoke
from apps.wallets.models import SignRecord
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import message_to_cbor
from poolsite.filecoin.signature import signature_verify
from tests import factories, people
from tests.integration.gateway.conftest import connected, signer_make
from tests.integration.gateway.hub import BLS, SECP, in_thread, message, sign
from tests.integration.pools import PATIENCE_S
from tests.keys import fixed_key
from tests.waiting import until_async

EVER_S = 300.0
"""Longer than the patience of a test."""


@pytest.fixture
def token(transactional_db: None) -> str:
    return people.token("read", scopes=["signer"])


async def test_a_signer_proves_its_keys_and_is_written_down(web, signer, token):
    async with connected(signer, web, token):
        keys = await in_thread(lambda: set(SignerKey.objects.values_list("address", flat=True)))()
        grants = await in_thread(lambda: set(SignerGrant.objects.values_list("address", "tenant__name")))()
        row = await in_thread(SignerConnection.objects.get)()

    assert keys == {BLS, SECP}
    assert grants == {(BLS, "alice"), (SECP, "alice")}
    assert (row.accounts, row.closed_at) == (["alice"], None)


@pytest.mark.parametrize("sender", [BLS, SECP])
async def test_a_task_has_a_message_signed(web, signer, token, sender):
    async with connected(signer, web, token):
        signature = await sign(message(sender))

    signature_verify(signature, address_parse(sender), message(sender).cid.data)


async def test_a_request_through_another_process_reaches_the_signer(web_start, signer, token):
    holder, other = web_start(), web_start()
    admin = await in_thread(people.operator_token)()
    one = message()
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "Gateway.WalletSign",
        "params": [
            "alice",
            SECP,
            people.base64_text(one.cid.data),
            {"Type": "message", "Extra": people.base64_text(message_to_cbor(one))},
        ],
    }
    client_of_admin = httpx.AsyncClient(headers=people.bearer(admin), timeout=60)
    async with connected(signer, holder, token), client_of_admin as client:
        answers = [(await client.post(url, json=body)).json() for url in (holder.url, other.url)]

    assert [answer["result"]["Type"] for answer in answers] == [1, 1]


async def test_the_signers_own_words_come_back(web, signer, token):
    async with connected(signer, web, token):
        with pytest.raises(SignerRefused, match=r"no rule allows message: miner\.WithdrawBalance"):
            await sign(message(method=16, params=bytes.fromhex("814200ff")))


async def test_an_account_that_is_not_served_is_refused_at_once(web, signer, token, monkeypatch):
    monkeypatch.setattr("apps.gateway.hub.client.RECONNECT_WAIT_S", EVER_S)
    async with connected(signer, web, token), asyncio.timeout(PATIENCE_S):
        with pytest.raises(SignerAway):  # the caller's own time is shorter
            await sign(message(), accounts=["bob"], timeout_s=0.5)


async def test_an_unknown_key_is_away_at_once(web, signer, token, monkeypatch):
    monkeypatch.setattr("apps.gateway.hub.client.RECONNECT_WAIT_S", EVER_S)  # for a key that was here lately
    stranger = str(key_address(fixed_key("secp256k1", 9)))
    async with connected(signer, web, token), asyncio.timeout(PATIENCE_S):
        with pytest.raises(SignerAway):
            await sign(message(stranger), timeout_s=EVER_S)


async def test_a_signer_that_comes_back_answers_those_who_waited(web, signer, token):
    async with connected(signer, web, token):
        pass
    waiting = asyncio.create_task(sign(message()))

    async with connected(signer, web, token):
        signature = await waiting

    signature_verify(signature, address_parse(SECP), message().cid.data)


async def test_another_signer_with_the_same_key_takes_over(web_start, signer, token, tmp_path, monkeypatch):
    monkeypatch.setattr("apps.gateway.providers.hub_node.ACTIVITY_EVERY_S", 0.1)
    monkeypatch.setattr("apps.gateway.providers.hub_node.CONFIRM_EVERY_S", 0.1)
    first, second = web_start(), web_start()
    spare = signer_make(tmp_path / "spare", "secp256k1")
    async with connected(spare, second, token):
        async with connected(signer, first, token):
            assert await sign(message())
        async with asyncio.timeout(PATIENCE_S):
            assert await sign(message(), timeout_s=EVER_S)
            while not await in_thread(keys_served)("alice", [SECP]):
                await asyncio.sleep(0.05)
    spare.close()


async def test_a_web_process_that_stops_is_replaced(web_start, signer, token):
    first = web_start()
    async with connected(signer, first, token):
        await in_thread(first.stop)()
    second = web_start()
    waiting = asyncio.create_task(sign(message()))

    async with connected(signer, second, token):
        assert await waiting


async def test_redis_may_die_and_come_back(web, signer, token, redis_server):
    async with connected(signer, web, token):
        assert await sign(message())
        redis_server.kill()
        waiting = asyncio.create_task(sign(message()))
        redis_server.start()
        assert await waiting


async def test_a_new_key_is_proved_while_connected(web, signer, token):
    async with connected(signer, web, token):
        address = signer.store.add(fixed_key("secp256k1", 3))
        async with asyncio.timeout(60):
            while not await in_thread(wallet_has)(address, accounts=["alice"]):
                await asyncio.sleep(0.05)

        assert await sign(message(address))


async def test_a_deleted_key_is_forgotten(web, signer, token):
    async with connected(signer, web, token):
        signer.store.delete(SECP)
        async with asyncio.timeout(60):
            while await in_thread(wallet_has)(SECP, accounts=["alice"]):
                await asyncio.sleep(0.05)

        with pytest.raises(SignerAway):
            await sign(message(), timeout_s=1)


async def test_an_address_that_was_taken_stays_taken_when_its_signer_comes_back(web, signer, token):
    async with connected(signer, web, token):
        pass
    taken = await in_thread(
        lambda: signer_grant_revoke(tenant=Tenant.objects.get(name="alice"), address=BLS)
    )()

    async with connected(signer, web, token):
        live = await in_thread(
            lambda: set(SignerGrant.objects.filter(deleted_at=None).values_list("address", flat=True))
        )()

    assert (taken, live) == (True, {SECP})


async def test_an_account_that_did_not_agree_is_left_out(web, signer, token):
    await in_thread(people.tenant)("bob")
    async with connected(signer, web, token, supported=["bob"]):
        assert await in_thread(wallet_has)(SECP, accounts=["alice"])
        assert not await in_thread(wallet_has)(SECP, accounts=["bob"])
        grants = await in_thread(lambda: SignerGrant.objects.filter(tenant__name="bob").count())()

    assert grants == 0


async def test_an_account_that_agreed_is_served(web, signer, token):
    def agree() -> None:
        account_approve(signer_tenant=Tenant.objects.get(name="alice"), account=people.tenant("bob"))

    await in_thread(agree)()
    async with connected(signer, web, token, supported=["bob"]):
        assert await sign(message(), accounts=["bob"])


async def test_an_account_signs_by_the_gateway_with_the_keys_that_it_was_granted(web, signer, token):
    def prepare() -> str:
        bob = people.tenant("bob")
        account_approve(signer_tenant=Tenant.objects.get(name="alice"), account=bob)
        signer_grant(tenant=bob, address=BLS, is_by_hand=True)
        return people.token("admin", of="bob")

    by = people.bearer(await in_thread(prepare)())
    answers: dict[str, list[Any]] = {}
    async with connected(signer, web, token, supported=["bob"]), httpx.AsyncClient(headers=by) as client:
        for key in (BLS, SECP):
            one = message(key)
            meta = {"Type": "message", "Extra": people.base64_text(message_to_cbor(one))}
            for method, params in (
                ("WalletSign", [key, ["bob"], people.base64_text(one.cid.data), meta]),
                ("WalletHas", [key, ["bob"]]),
            ):
                body = {"jsonrpc": "2.0", "id": 1, "method": f"Gateway.{method}", "params": params}
                url = web.url.replace("/rpc/v1", "/rpc/v2")
                answers.setdefault(key, []).append((await client.post(url, json=body, timeout=60)).json())

    signed, has = answers[BLS]
    assert signed["result"]["Data"]
    assert has["result"] is True
    refused, has = answers[SECP]
    assert refused["error"]["message"] == "send request must have channel"
    assert has["result"] is False
    record = await in_thread(SignRecord.objects.get)()
    assert (record.address, record.error, record.asked_by) == (BLS, "", "gateway interface")


async def test_a_wallet_locked_when_it_dialled_serves_once_unlocked(web, signer, token, monkeypatch):
    monkeypatch.setattr(wallet, "RETRY_S", 0.1)
    signer.store.lock()
    async with connected(signer, web, token):
        assert not await in_thread(wallet_has)(SECP, accounts=["alice"])

        signer.store.unlock("password")

        async with asyncio.timeout(PATIENCE_S):
            while not all([await in_thread(wallet_has)(key, accounts=["alice"]) for key in (SECP, BLS)]):
                await asyncio.sleep(0.05)
        assert await sign(message())


async def test_an_account_that_agrees_no_longer_is_not_served_any_more(web, signer, token):
    """The signer stays connected: what it may do for others must end at once, not with its next dial."""
    pair = {
        "signer_tenant": await in_thread(people.tenant)("alice"),
        "account": await in_thread(people.tenant)("bob"),
    }
    await in_thread(account_approve)(**pair)
    async with connected(signer, web, token, supported=["bob"]):
        assert await sign(message(), accounts=["bob"])

        await in_thread(account_approval_revoke_and_disconnect)(**pair)

        with pytest.raises(SignerAway):
            await sign(message(), accounts=["bob"], timeout_s=1.0)


async def test_a_revoked_token_ends_the_connection_by_the_word_of_it(web, signer, token, monkeypatch):
    monkeypatch.setattr("apps.api.rpc.callers.REGULAR_S", EVER_S)  # nobody looks without being told
    async with connected(signer, web, token) as link:
        await in_thread(lambda: token_revoke(Token.objects.get()))()
        async with asyncio.timeout(PATIENCE_S):
            await until_async(lambda: not link.is_connected.is_set())


async def test_a_closed_connection_is_written_down(web, signer, token):
    async with connected(signer, web, token):
        await sign(message())

    async with asyncio.timeout(60):
        while True:
            row = await in_thread(SignerConnection.objects.get)()
            if row.closed_at is not None:
                break
            await asyncio.sleep(0.02)
    assert row.requests >= 3


async def test_what_a_connection_did_is_counted_and_timed(web, signer, token, monkeypatch):
    monkeypatch.setattr("apps.gateway.providers.hub_node.ACTIVITY_EVERY_S", 0.1)
    async with connected(signer, web, token):
        for _ in range(5):
            await sign(message())
        with pytest.raises(SignerRefused):
            await sign(message(method=999, to=address_parse("f01234")))

        async def counted() -> Any:
            while True:
                row = await in_thread(SignerConnection.objects.get)()
                if row.failures and not row.in_flight:
                    return row
                await asyncio.sleep(0.05)

        row = await asyncio.wait_for(counted(), 60)

    assert row.requests >= 6
    assert row.failures == 1
    assert row.last_failure
    assert 0 < (row.p50_ms or 0) <= (row.p99_ms or 0)


async def test_what_open_sockets_ask_again_and_again_opens_no_session(web, signer, token, monkeypatch):
    sessions: list[int] = []

    def noted(work: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                sessions.append(cursor.fetchone()[0])
            return work(*args, **kwargs)

        return call

    holder = "apps.gateway.providers.hub_node"
    for place in (f"{holder}.connections_confirm", "apps.api.rpc.callers.tokens_outdated"):
        monkeypatch.setattr(place, noted(import_string(place)))
    monkeypatch.setattr(f"{holder}.ACTIVITY_EVERY_S", 0.05)
    monkeypatch.setattr(f"{holder}.CONFIRM_EVERY_S", 0.05)
    monkeypatch.setattr("apps.api.rpc.callers.REGULAR_S", 0.05)

    async with connected(signer, web, token), asyncio.timeout(PATIENCE_S):
        await until_async(lambda: len(sessions) >= 12)

    assert len(set(sessions)) == 1, sessions


async def test_a_signer_is_tested_from_outside_its_process(web, signer, token):
    async with connected(signer, web, token):
        row = await in_thread(SignerConnection.objects.get)()

        good = await in_thread(signer_test)(row)
        signer.store.lock()
        bad = await in_thread(signer_test)(row)

    assert (good.is_good, bad.is_good) == (True, False)
    assert "signed in" in good.text
    assert "locked" in bad.text


async def test_a_connection_that_is_ended_comes_back_as_another(web, signer, token):
    async with connected(signer, web, token):
        row = await in_thread(SignerConnection.objects.get)()
        viewer = await in_thread(people.principal)("alice", "admin")
        await in_thread(connection_end)(principal=viewer, row=row)

        async def back() -> Any:
            while True:
                found = await in_thread(SignerConnection.objects.filter(closed_at=None).first)()
                if found is not None and found.pk != row.pk:
                    return found
                await asyncio.sleep(0.05)

        await asyncio.wait_for(back(), 60)
        entry = await in_thread(AuditEntry.objects.get)()

    assert entry.action == "gateway.disconnect"


async def test_a_connection_of_a_dead_process_says_so(web, token):
    row = await in_thread(factories.signer_connection)(BLS, process="gone")

    finding = await in_thread(signer_test)(row)

    assert finding == ConnectionTestResult(False, "channel closed")


async def test_a_disabled_tenants_socket_is_closed_at_once(web, signer, token):
    async with connect(web.ws, additional_headers=people.bearer(token)) as socket:
        alice = await in_thread(people.tenant)("alice")
        await in_thread(tenant_update)(tenant=alice, enabled=False)

        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 60)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_socket_whose_token_lost_a_miner_is_closed_and_others_stay(web):
    other, both = [
        await in_thread(people.token)("sign", limits=TokenLimits(miners=miners))
        for miners in ([7], [2001, 7])
    ]
    async with (
        connect(web.ws, additional_headers=people.bearer(both)) as loser,
        connect(web.ws, additional_headers=people.bearer(other)) as keeper,
    ):
        alice = await in_thread(people.tenant)("alice")
        await in_thread(tokens_remove_miner)(tenant=alice, actor_id=2001)

        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(loser.recv(), 60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(keeper.recv(), 0.3)
        async with connect(web.ws, additional_headers=people.bearer(both)) as again:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(again.recv(), 0.3)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_the_rule_that_allowed_a_signature_comes_with_it(web, signer, token):
    async with connected(signer, web, token):
        signature = await sign(message())

    assert isinstance(signature, RuledSignature)
    assert signature.rule == "small transfers"


async def test_signer_refused_by_database_failure_is_accepted_on_retry(web, signer, token, monkeypatch):
    tries = []

    def failing_once(**facts: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("the database system is shutting down")
        keys_add(**facts)

    monkeypatch.setattr("apps.gateway.providers.wallet.keys_add", failing_once)
    async with connected(signer, web, token):
        assert len(tries) == 2
        assert await in_thread(wallet_has)(BLS, accounts=["alice"])
