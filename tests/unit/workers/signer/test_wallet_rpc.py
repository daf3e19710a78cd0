from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import structlog

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.jwt import BadToken, Claims, token_sign
from poolsite.filecoin.keys import key_address, key_from_json
from poolsite.filecoin.message import message_to_cbor
from poolsite.filecoin.signature import signature_from_json, signature_verify
from poolsite.wire.jsonrpc.messages import CODE_NOT_AGREED, RpcError
from poolsite.wire.jsonrpc.server import body_handle
from tests import people
from tests.unit.workers.signer.conftest import PASSWORD
from tests.unit.workers.signer.signing import SENDER, message
from workers.signer.accounts import accounts_read
from workers.signer.callers import Caller
from workers.signer.errors import GatewayRefused
from workers.signer.tokens import token_new, token_perms
from workers.signer.wallet_rpc import METHODS, WalletDispatcher

SECRET = b"s" * 32


async def call(signer: Any, method: str, *params: Any, perm: str = "admin") -> Any:
    perms = token_perms(token_new(SECRET, perm), SECRET) if perm else ("read",)
    door = WalletDispatcher(Caller(signer, SECRET, perms, "127.0.0.1:1"))
    body = json.dumps({"id": 1, "method": f"Filecoin.{method}", "params": list(params)})
    _, text = await body_handle(body.encode(), door)
    return json.loads(text)


async def result(signer: Any, method: str, *params: Any) -> Any:
    answer = await call(signer, method, *params)
    assert "error" not in answer, answer
    return answer.get("result")


async def refusal(signer: Any, method: str, *params: Any, **options: Any) -> str:
    return str((await call(signer, method, *params, **options))["error"]["message"])


async def test_a_key_is_made_listed_exported_and_imported(signer):
    made = await result(signer, "WalletNew", "bls")
    exported = await result(signer, "WalletExport", made)

    assert await result(signer, "WalletHas", made) is True
    assert made in await result(signer, "WalletList")
    assert str(key_address(key_from_json(exported))) == made
    assert await result(signer, "WalletImport", exported) == made


async def test_a_message_is_signed(signer):
    meta = {"Type": "message", "Extra": people.base64_text(message_to_cbor(message()))}

    answer = await result(signer, "WalletSign", str(SENDER), people.base64_text(message().cid.data), meta)

    signature_verify(signature_from_json(answer), SENDER, message().cid.data)


async def test_a_deleted_key_does_not_sign(signer):
    await result(signer, "WalletDelete", str(SENDER))

    assert await refusal(signer, "WalletSign", str(SENDER), "aGk=", {"Type": "unknown"}) == "record not found"


async def test_lock_and_unlock(signer):
    assert await result(signer, "LockState") is False
    assert await refusal(signer, "Lock", "wrong") == "password mismatch"
    await result(signer, "Lock", PASSWORD)

    assert await result(signer, "LockState") is True
    assert await refusal(signer, "WalletNew", "bls") == "wallet locked"
    assert await refusal(signer, "Lock", PASSWORD) == "wallet already locked"
    assert await refusal(signer, "Unlock", "wrong") == "could not decrypt key with given password"
    await result(signer, "Unlock", PASSWORD)
    assert await refusal(signer, "Unlock", PASSWORD) == "wallet already unlocked"
    assert await refusal(signer, "SetPassword", PASSWORD) == "the password already exists"


async def test_tokens_are_made_and_read(signer):
    encoded = await result(signer, "AuthNew", ["read", "write"])

    assert await result(signer, "AuthVerify", base64.b64decode(encoded).decode()) == ["read", "write"]
    assert "JWT Verification failed" in await refusal(signer, "AuthVerify", "a.b.c")


async def test_records_are_listed_as_the_old_wallet_lists_them(signer):
    await refusal(signer, "WalletSign", str(SENDER), "aGk=", {"Type": "unknown", "Extra": None})

    [row] = await result(signer, "ListSignedRecord", {"Signer": "<empty>", "Limit": 5})

    assert row["Err"] is None  # what is not null ends venus' Go client with an unmarshaling error
    assert (row["Type"], row["Signer"], row["RawMsg"]) == ("unknown", str(SENDER), "aGk=")


PERMS = ("", "read", "write", "sign", "admin")


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_each_level_reaches_only_its_methods(signer, method):
    name = method.removeprefix("Filecoin.")
    need = METHODS[method].perm

    for perm in PERMS:
        answer = await call(signer, name, *[None] * 9, perm=perm)  # too many parameters: nothing runs
        is_in = PERMS.index(perm or "read") >= PERMS.index(need)
        text = answer["error"]["message"]
        assert ("wrong param count" in text) is is_in
        assert (text == f"missing permission to invoke '{name}'  (need '{need}')") is not is_in


def test_a_strategy_suffix_is_cut_off():
    assert token_perms(f"Bearer {token_new(SECRET, 'sign')}___abc", SECRET) == ("read", "write", "sign")


def test_a_token_of_another_service_or_secret_is_refused():
    for text in (token_sign(Claims(name="a", perm="admin"), SECRET), token_new(b"t" * 32, "admin"), "x.y.z"):
        with pytest.raises(BadToken):
            token_perms(text, SECRET)


async def test_bad_parameters_are_refused_in_gos_words(signer):
    assert "unmarshaling params" in await refusal(signer, "WalletHas", "x01")
    assert await refusal(signer, "WalletNew", "rsa") == "invalid signature type: 255"
    assert "unmarshaling params" in await refusal(
        signer, "WalletImport", {"Type": "bls", "PrivateKey": "AA=="}
    )
    assert await result(signer, "WalletHas", str(address_parse("f099"))) is False


class Gateway:
    """Stands for a dialled gateway and remembers what it was told."""

    def __init__(self, *, refuses: str = "") -> None:
        self.supported = ["alice"]
        self.announced: list[str] = []
        self.refuses = refuses

    async def support(self, account: str) -> None:
        if self.refuses:
            raise GatewayRefused(RpcError(self.refuses, code=CODE_NOT_AGREED))
        self.supported.append(account)

    async def announce(self, addresses: list[str]) -> None:
        self.announced += addresses


async def told(signer: Any, hubs: list[Gateway], method: str, *params: Any) -> dict[str, Any]:
    caller = Caller(signer, SECRET, ("read", "write", "sign", "admin"), "127.0.0.1:1", hubs=hubs)  # type: ignore[arg-type]  # what it uses of a link
    body = json.dumps({"id": 1, "method": f"Filecoin.{method}", "params": list(params)})
    _, text = await body_handle(body.encode(), WalletDispatcher(caller))
    answer: dict[str, Any] = json.loads(text)
    return answer


async def test_an_account_is_offered_to_every_gateway_and_kept(signer):
    hubs = [Gateway(), Gateway()]

    answer = await told(signer, hubs, "AddSupportAccount", "carol")
    again = await told(signer, hubs, "AddSupportAccount", "carol")

    assert "error" not in answer
    assert [hub.supported for hub in hubs] == [["alice", "carol"]] * 2
    assert accounts_read(signer.folder) == ["carol"]
    assert again["error"]["message"] == "account carol has exit"


async def test_an_account_that_a_gateway_refuses_is_not_kept(signer):
    answer = await told(signer, [Gateway(refuses="has not agreed")], "AddSupportAccount", "carol")

    assert answer["error"] == {"code": CODE_NOT_AGREED, "message": "has not agreed"}
    assert accounts_read(signer.folder) == []


async def test_keys_are_announced_at_once(signer):
    hub, key = Gateway(), await result(signer, "WalletNew", "secp256k1")

    answer = await told(signer, [hub], "AddNewAddress", [key])
    unknown = await told(signer, [hub], "AddNewAddress", ["f1aqehzngfr44jzaf67cbogojpdm5q5hr427iv55i"])

    assert "error" not in answer
    assert hub.announced == [key]
    assert "record not found" in unknown["error"]["message"]


@pytest.mark.parametrize(("method", "params"), [("AddSupportAccount", ["a"]), ("AddNewAddress", [[]])])
async def test_without_a_gateway_there_is_nobody_to_tell(signer, method, params):
    assert "has no gateway" in await refusal(signer, method, *params)


async def test_the_log_level_is_chosen_while_it_runs(signer, caplog):
    assert await result(signer, "LogList") == ["signer"]
    before = structlog.get_config()["wrapper_class"]
    try:
        await result(signer, "LogSetLevel", "*", "ERROR")
        structlog.get_logger("signer").info("hidden")
        structlog.get_logger("signer").error("shown")
    finally:
        structlog.configure(wrapper_class=before)

    assert "hidden" not in caplog.text
    assert "shown" in caplog.text
    assert "no such log system" in await refusal(signer, "LogSetLevel", "nobody", "info")
    assert "unrecognized level" in await refusal(signer, "LogSetLevel", "signer", "loud")
