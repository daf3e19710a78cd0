"""Two signers hold one key and one of them cannot sign now: the other does, and a policy's refusal stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.gateway.errors import SignerRefused
from apps.gateway.services.signatures import WalletSignRequest, wallet_sign_all
from poolsite.filecoin.message import message_to_cbor
from poolsite.filecoin.signature import signature_from_json, signature_verify
from tests import people
from tests.integration.gateway.conftest import connected, signer_make
from tests.integration.gateway.hub import SECP, in_thread, message, sign
from workers.signer import gateway
from workers.signer.signing import Signer

BATCH = 12
"""Requests: that all of them go to the signer that can has a chance of 1 in 4096."""


@pytest.fixture
def token(transactional_db: None) -> str:
    return people.token("read", scopes=["signer"])


def lock(signer: Signer) -> None:
    signer.store.lock()


def records_close(signer: Signer) -> None:
    signer.records.link.execute("PRAGMA query_only=ON")


def policy_break(signer: Signer) -> None:
    (signer.folder / "policy.toml").write_text("version = 1\n[[rule")


def key_delete(signer: Signer) -> None:
    signer.store.delete(SECP)


FAULTS = {
    lock: "wallet locked",
    records_close: "the records cannot be read or written",
    policy_break: "the policy is not TOML",
    key_delete: "record not found",
}
"""What happens to a signer, and what it answers from then on."""


def batch_sign() -> list[Any]:
    messages = [message(value=number) for number in range(BATCH)]
    requests = [
        WalletSignRequest(SECP, ["alice"], one.cid.data, "message", message_to_cbor(one)) for one in messages
    ]
    return list(zip(messages, wallet_sign_all(requests, timeout_s=60), strict=True))


async def batch_check(web: Any, token: str, folder: Path, fault: Callable[[Signer], None]) -> None:
    """Have a batch signed while one of two signers has a fault."""
    able, unable = (signer_make(folder / name, "secp256k1") for name in ("able", "unable"))
    async with connected(able, web, token), connected(unable, web, token):
        fault(unable)
        for one, answer in await in_thread(batch_sign)():
            signature_verify(answer, one.from_, one.cid.data)
    able.close()
    unable.close()


@pytest.mark.parametrize(
    "fault", [one if one is lock else pytest.param(one, marks=pytest.mark.slow) for one in FAULTS]
)
async def test_signer_that_can_signs_for_one_that_cannot(
    web: Any, token: str, tmp_path: Path, fault: Callable[[Signer], None]
) -> None:
    await batch_check(web, token, tmp_path, fault)


async def test_locked_venus_wallet_is_known_by_its_words(
    web: Any, token: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(gateway, "UNABLE_FIELD", "NotThere")
    await batch_check(web, token, tmp_path, lock)


@pytest.mark.parametrize(("fault", "said"), FAULTS.items())
async def test_the_only_signer_says_why_it_cannot(
    web: Any, token: str, signer: Signer, fault: Callable[[Signer], None], said: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(gateway, "WATCH_S", 600.0)  # else the deleted key is withdrawn
    async with connected(signer, web, token):
        fault(signer)
        with pytest.raises(SignerRefused, match=said):
            await sign(message())


async def test_signer_of_another_web_process_signs_for_a_locked_one(
    web_start: Any, token: str, tmp_path: Path
) -> None:
    near, far = web_start(), web_start()
    able, unable = (signer_make(tmp_path / name, "secp256k1") for name in ("able", "unable"))
    admin, one = await in_thread(people.operator_token)(), message()
    meta = {"Type": "message", "Extra": people.base64_text(message_to_cbor(one))}
    params = ["alice", SECP, people.base64_text(one.cid.data), meta]
    body = {"jsonrpc": "2.0", "id": 1, "method": "Gateway.WalletSign", "params": params}
    async with (
        connected(able, far, token),
        connected(unable, near, token),
        httpx.AsyncClient(headers=people.bearer(admin), timeout=60) as client,
    ):
        unable.store.lock()
        answer = (await client.post(near.url, json=body)).json()
    able.close()
    unable.close()

    signature_verify(signature_from_json(answer["result"]), one.from_, one.cid.data)
