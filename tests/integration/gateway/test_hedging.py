"""Two signers hold one key and one is slow: the other answers its callers, a late answer nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from channels.db import database_sync_to_async

from apps.gateway.services.signatures import WalletSignRequest, wallet_sign_all
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_to_cbor
from poolsite.filecoin.signature import signature_from_json, signature_verify
from tests import people
from tests.integration.gateway.conftest import connected, signer_make
from tests.keys import fixed_key
from workers.signer.gateway import GatewaySession

SECP = str(key_address(fixed_key("secp256k1")))


def in_thread(call: Any) -> Any:
    return database_sync_to_async(call, thread_sensitive=False)


def message(number: int) -> Message:
    fields: dict[str, Any] = {"value": number, "gas_limit": 1, "gas_fee_cap": 1, "gas_premium": 1}
    return Message(to=address_parse("f01234"), from_=address_parse(SECP), nonce=number, **fields)


@pytest.fixture
def token(transactional_db: None) -> str:
    return people.token("read", scopes=["signer"])


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Folders of signers whose signatures are held back while they stand here."""
    folders: set[str] = set()
    real = GatewaySession.answer

    async def answer(session: GatewaySession, method: str, payload: Any) -> Any:
        found = await real(session, method, payload)
        while method == "WalletSign" and session.signer.folder.name in folders:
            await asyncio.sleep(0.02)
        return found

    monkeypatch.setattr(GatewaySession, "answer", answer)
    return folders


async def signed(client: httpx.AsyncClient, url: str, number: int) -> None:
    """Have a message of its own signed; what comes back must be its own signature."""
    one = message(number)
    meta = {"Type": "message", "Extra": people.base64_text(message_to_cbor(one))}
    params = [SECP, ["alice"], people.base64_text(one.cid.data), meta]
    body = {"jsonrpc": "2.0", "id": number, "method": "Gateway.WalletSign", "params": params}
    answer = (await client.post(url.replace("/v1", "/v2"), json=body)).json()
    assert "result" in answer, answer
    signature_verify(signature_from_json(answer["result"]), one.from_, one.cid.data)


async def test_callers_are_answered_by_the_other_signer_and_never_late(web, token, tmp_path, slow):
    admin = await in_thread(people.operator_token)()
    late, quick = signer_make(tmp_path / "late", "secp256k1"), signer_make(tmp_path / "quick", "secp256k1")
    headers = people.bearer(admin)
    async with (
        connected(late, web, token),
        connected(quick, web, token),
        httpx.AsyncClient(headers=headers, timeout=120) as client,
    ):
        slow.add("late")
        await asyncio.gather(*(signed(client, web.url, number) for number in range(16)))
        slow.clear()  # the late answers arrive now
        for number in range(100, 140, 4):
            await asyncio.gather(*(signed(client, web.url, number + one) for one in range(4)))
    late.close()
    quick.close()


async def test_threads_ask_a_second_signer_too(web, token, tmp_path, slow):
    late, quick = signer_make(tmp_path / "late", "secp256k1"), signer_make(tmp_path / "quick", "secp256k1")
    messages = [message(number) for number in range(8)]
    requests = [
        WalletSignRequest(SECP, ["alice"], one.cid.data, "message", message_to_cbor(one)) for one in messages
    ]
    async with connected(late, web, token), connected(quick, web, token):
        slow.add("late")
        answers = await in_thread(lambda: wallet_sign_all(requests, timeout_s=120))()
        slow.clear()
    late.close()
    quick.close()

    for one, answer in zip(messages, answers, strict=True):
        signature_verify(answer, one.from_, one.cid.data)
