"""The wallet's own server: who a caller is, and what somebody without a token learns."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from poolsite.filecoin.jwt import BadToken
from poolsite.filecoin.message import message_to_cbor
from poolsite.private_files import private_write
from tests import people
from tests.unit.workers.signer.signing import SENDER, message
from workers.signer.changes import policy_set, versions_now
from workers.signer.commands import main
from workers.signer.default_policy import DEFAULT
from workers.signer.records import RecordQuery
from workers.signer.server import WalletApp, listen_socket, serve
from workers.signer.tokens import secret_load, token_new, token_perms

SECRET = b"s" * 32


def post(port: int, method: str, *params: Any, token: str = "", **headers: str) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": params})
    shown = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(f"http://127.0.0.1:{port}/rpc/v0", body.encode(), {**shown, **headers})
    try:
        with urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())
    except HTTPError as error:
        return json.loads(error.read() or b"{}") | {"status": error.code}


async def asked(signer: Any, method: str, *params: Any, **how: str) -> Any:
    listener = listen_socket("127.0.0.1:0")
    listener.listen()  # callers wait until the server is up
    running = asyncio.create_task(serve(WalletApp(signer, secret=lambda: SECRET), listener))
    try:
        return await asyncio.to_thread(post, listener.getsockname()[1], method, *params, **how)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_no_header_gives_a_caller_another_address(signer):
    """Rules may name callers by their address; a proxy's header would let every program choose its own."""
    meta = {"Type": "message", "Extra": people.base64_text(message_to_cbor(message()))}
    to_sign = people.base64_text(message().cid.data)
    forged = {"X-Forwarded-For": "10.9.8.7", "Forwarded": "for=10.9.8.7"}

    answer = await asked(
        signer, "WalletSign", str(SENDER), to_sign, meta, token=token_new(SECRET, "sign"), **forged
    )

    assert "result" in answer
    [row] = signer.records.query(RecordQuery())
    assert row["caller"].startswith("rpc 127.0.0.1:")


async def test_without_a_token_nobody_reads_what_was_signed(signer):
    """The server answers pages of every host, so any of them could ask this machine."""
    assert "missing permission" in (await asked(signer, "ListSignedRecord", {}))["error"]["message"]
    assert "result" in await asked(signer, "ListSignedRecord", {}, token=token_new(SECRET, "read"))
    assert "result" in await asked(signer, "WalletHas", str(SENDER))


async def test_revoked_tokens_end_on_open_sockets_and_the_policy_stays(signer, capsys):
    """Whoever has a token of level admin exports the keys: a lost laptop must not have one for ever."""
    policy_set(signer.folder, DEFAULT, by="ann")
    private_write(signer.folder / "token", token_new(secret_load(signer.folder), "admin"))
    lost = (signer.folder / "token").read_text()
    app = WalletApp(signer, secret=lambda: secret_load(signer.folder))
    scope = {"headers": [(b"authorization", f"Bearer {lost}".encode())]}
    assert "admin" in app.caller(scope).perms

    assert main(["token", "--dir", str(signer.folder), "sign", "--revoke-all"]) == 0

    with pytest.raises(BadToken):
        app.caller(scope)
    for made, perm in ((capsys.readouterr().out, "sign"), ((signer.folder / "token").read_text(), "admin")):
        assert token_perms(made.strip(), secret_load(signer.folder))[-1] == perm
    assert [one.by for one in versions_now(signer.folder)] == ["ann"]


@pytest.mark.parametrize("method", ["WalletExport", "WalletDelete"])
async def test_a_token_of_a_set_of_rules_reaches_no_key_whatever_its_level(signer, method):
    limited = token_new(SECRET, "admin", rule_set="payments")

    answer = await asked(signer, method, str(SENDER), token=limited)

    assert "missing permission" in answer["error"]["message"]
    assert signer.store.has(str(SENDER))
