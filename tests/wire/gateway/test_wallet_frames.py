"""The frames of a real venus-wallet 1.20.0, replayed to our hub."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from apps.core.reasons import code_of
from apps.gateway.errors import SignerRefused
from apps.gateway.models import SignerConnection, SignerKey
from apps.gateway.providers import wallet as wallet_provider
from apps.gateway.services.signatures import wallet_has, wallet_sign
from apps.users.models import Tenant
from apps.users.selectors.rate_limits import RULES
from apps.users.services.grants import account_approve, rate_limit_set
from apps.users.services.tenants import tenant_update
from tests import people
from tests.wire.gateway.dialling import call, dial, in_thread

GOLDEN = Path(__file__).parents[2] / "golden" / "gateway" / "wallet_ws_frames.jsonl"
ROWS = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
FROM_WALLET = [row["frame"] for row in ROWS if row["dir"] == "wallet->gateway"]
TO_WALLET = [row["frame"] for row in ROWS if row["dir"] == "gateway->wallet"]


def payload(text: str | None) -> Any:
    return json.loads(base64.b64decode(text)) if text else None


def event(frame: dict[str, Any]) -> dict[str, Any] | None:
    return frame["params"][1] if frame.get("method") == "xrpc.ch.val" else None


def masked(frame: dict[str, Any]) -> dict[str, Any]:
    """A frame without what differs in every run."""
    told = event(frame)
    if told is None:
        return frame
    content = payload(told["Payload"])
    if isinstance(content, dict) and "ChannelId" in content:
        content = {"ChannelId": "<uuid>"}
    return {**frame, "params": [frame["params"][0], {**told, "Id": "<uuid>", "Payload": content}]}


@pytest.fixture(autouse=True)
def recorded_challenge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return the hub the recorded half of the challenge, so that the recorded signatures hold."""
    asked = next(told for frame in TO_WALLET if (told := event(frame)) and told["Method"] == "WalletSign")
    meta = payload(asked["Payload"])["Meta"]
    monkeypatch.setattr(wallet_provider, "CHALLENGE", base64.b64decode(meta["Extra"]))


@pytest.fixture
def token(transactional_db: None) -> str:
    """The wallet's token; alice, bob and carol agreed to be served."""
    wallet = people.tenant("wallet")
    for name in ("alice", "bob", "carol"):
        account_approve(signer_tenant=wallet, account=people.tenant(name))
    return people.token("read", of="wallet")


class Wallet:
    """Plays the recorded frames."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.sent = iter(FROM_WALLET)
        self.seen: list[dict[str, Any]] = []
        self.channel_id = ""

    async def send(self, **changes: Any) -> dict[str, Any]:
        """Send the next recorded frame, with ids of this run."""
        frame = {**next(self.sent), **changes}
        await self.socket.send(json.dumps(frame))
        return frame

    async def receive(self) -> dict[str, Any]:
        """Take one frame."""
        frame: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), 60))
        self.seen.append(frame)
        return frame

    async def event(self, method: str) -> dict[str, Any]:
        """Take frames until an event of this method comes."""
        while True:
            told = event(await self.receive())
            if told is not None:
                assert told["Method"] == method
                return told

    async def respond(self, told: dict[str, Any]) -> None:
        """Answer an event with the next recorded answer."""
        frame = next(self.sent)
        answer = {**frame["params"][0], "Id": told["Id"]}
        await self.socket.send(json.dumps({**frame, "params": [answer]}))

    async def register(self) -> None:
        """Play from listening to InitConnect."""
        await self.send()
        await self.respond(await self.event("WalletList"))
        for _ in range(3):
            await self.respond(await self.event("WalletSign"))
        self.channel_id = payload((await self.event("InitConnect"))["Payload"])["ChannelId"]

    async def reply(self, number: int) -> dict[str, Any]:
        """Take frames until the answer of our call comes."""
        while True:
            frame = await self.receive()
            if frame.get("id") == number:
                return frame


async def test_a_real_wallets_registration_gets_the_recorded_frames(web, token):
    async with dial(web, token) as socket:
        wallet = Wallet(socket)
        await wallet.register()

    end = next(
        at for at, frame in enumerate(TO_WALLET) if (e := event(frame)) and e["Method"] == "InitConnect"
    )
    expected = [json.dumps(masked(frame), sort_keys=True) for frame in TO_WALLET[: end + 1]]
    seen = [json.dumps(masked(frame), sort_keys=True) for frame in wallet.seen]
    assert [one for one in seen if "xrpc" in one] == [one for one in expected if "xrpc" in one]
    assert set(seen) <= set(expected)
    keys = await in_thread(lambda: set(SignerKey.objects.values_list("address", flat=True)))()
    assert keys == set(payload(FROM_WALLET[1]["params"][0]["Payload"]))


async def test_a_real_wallets_signature_and_error_come_back(web, token):
    async with dial(web, token) as socket:
        wallet = Wallet(socket)
        await wallet.register()
        address = payload(FROM_WALLET[1]["params"][0]["Payload"])[1]
        asked = asyncio.create_task(
            in_thread(wallet_sign)(address=address, accounts=["bob"], to_sign=b"hi", meta_type="unknown")
        )
        told = await wallet.event("WalletSign")
        await wallet.respond(told)
        signature = await asked

    recorded = payload(FROM_WALLET[5]["params"][0]["Payload"])
    assert payload(told["Payload"]) == {
        "Signer": address,
        "ToSign": "aGk=",
        "Meta": {"Type": "unknown", "Extra": None},
    }
    assert {"Type": signature.type, "Data": base64.b64encode(signature.data).decode()} == recorded


async def test_a_real_wallets_later_calls_are_answered_without_result(web, token):
    async with dial(web, token) as socket:
        wallet = Wallet(socket)
        await wallet.register()
        next(wallet.sent)
        next(wallet.sent)
        added, supported, removed = FROM_WALLET[7:10]
        await wallet.send(params=[wallet.channel_id, added["params"][1]])
        told = await wallet.event("WalletSign")
        answer = {"Id": told["Id"], "Payload": None, "Error": "record not found"}
        response = {"id": 99, "method": "Gateway.ResponseWalletEvent", "params": [answer]}
        await socket.send(json.dumps(response))
        replies = [await wallet.reply(added["id"])]
        await wallet.send(params=[wallet.channel_id, supported["params"][1]])
        replies.append(await wallet.reply(supported["id"]))
        address = payload(FROM_WALLET[1]["params"][0]["Payload"])[0]
        assert await in_thread(wallet_has)(address, accounts=["carol"])
        await wallet.send(params=[wallet.channel_id, [address]])
        replies.append(await wallet.reply(removed["id"]))
        assert not await in_thread(wallet_has)(address, accounts=["carol"])

    assert replies == [{"jsonrpc": "2.0", "id": number} for number in (8, 9, 10)]


async def test_a_stranger_neither_sees_nor_uses_a_key_of_others(web, token, monkeypatch):
    monkeypatch.setattr("apps.gateway.hub.client.RECONNECT_WAIT_S", 0.1)
    stranger = await in_thread(people.token)("admin", of="mallory")
    denied = "user alice in the request doesn't match mallory in the system: permission deny"
    meta = {"Type": "unknown", "Extra": None}
    headers = people.bearer(stranger)
    v0, v2 = (
        connect(web.ws.replace("/v1", version), additional_headers=headers, proxy=None)
        for version in ("/v0", "/v2")
    )
    async with dial(web, token) as socket, dial(web, stranger) as asking_v1, v0 as messages, v2 as asking:
        wallet = Wallet(socket)
        await wallet.register()
        key = payload(FROM_WALLET[1]["params"][0]["Payload"])[1]
        seen = len(wallet.seen)

        for accounts in (["alice"], ["mallory", "alice"]):
            has = await call(asking, "Gateway.WalletHas", key, accounts)
            signs = await call(asking, "Gateway.WalletSign", key, accounts, "aGk=", meta)
            assert (has["error"]["message"], signs["error"]["message"]) == (denied, denied)
        assert (await call(asking_v1, "Gateway.WalletHas", "alice", key))["error"]["message"] == denied
        signs = await call(asking_v1, "Gateway.WalletSign", "alice", key, "aGk=", meta)
        assert signs["error"]["message"] == denied
        assert (await call(asking, "Gateway.WalletHas", key, ["mallory"]))["result"] is False
        own = await call(asking, "Gateway.WalletSign", key, ["mallory"], "aGk=", meta)
        assert own["error"]["message"] == "send request must have channel"
        assert (await call(messages, "Message.WalletHas", key))["result"] is False
        assert (await call(asking, "Gateway.ListWalletInfo"))["result"] is None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.3)

    assert len(wallet.seen) == seen


POLICY = {"SupportAccounts": None, "SignBytes": base64.b64encode(b"s" * 32).decode()}


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (
            {**POLICY, "SupportAccounts": ["nobody"]},
            "verify user [nobody wallet] failed: verify nobody: Key not found",
        ),
        ({**POLICY, "SignBytes": "aGk="}, "SignBytes: must have 32 bytes"),
        (
            {**POLICY, "SupportAccounts": [1]},
            "SupportAccounts: json: cannot unmarshal into Go value of type string",
        ),
    ],
)
async def test_a_policy_that_is_wrong_is_refused(web, token, policy, reason):
    async with dial(web, token) as socket:
        answer = await call(socket, "Gateway.ListenWalletEvent", policy)

    assert answer["error"] == {"code": 1, "message": reason}


async def test_a_wallet_names_so_many_accounts_and_no_more(web, token):
    async with dial(web, token) as socket:
        answer = await call(socket, "Gateway.ListenWalletEvent", {**POLICY, "SupportAccounts": ["bob"] * 201})

    assert answer["error"]["message"] == "SupportAccounts: at most 200"


async def test_a_tenant_holds_so_many_channels_and_gets_its_place_back(web, token, monkeypatch):
    monkeypatch.setattr("apps.api.rpc.services.gateway.channels.CHANNELS_MAX", 2)
    refused = "user wallet already has 2 channels, the maximum"

    async with dial(web, token) as first, dial(web, token) as second:
        opened = [(await call(one, "Gateway.ListenWalletEvent", POLICY)) for one in (first, second)]
        third = await call_over(second, POLICY)
        assert [answer["result"] for answer in opened] == [1, 1]
        assert third["error"]["message"] == refused
        await first.close()
        for _ in range(1200):
            again = await call_over(second, POLICY)
            if "result" in again:
                break
            await asyncio.sleep(0.05)

    assert again["result"] == 2


async def call_over(socket: ClientConnection, policy: dict[str, Any]) -> Any:
    """Listen once more on a socket that has a channel, passing over what comes on that."""
    await socket.send(json.dumps({"id": 2, "method": "Gateway.ListenWalletEvent", "params": [policy]}))
    while True:
        frame = json.loads(await asyncio.wait_for(socket.recv(), 60))
        if frame.get("id") == 2 and "method" not in frame:
            return frame


async def test_a_disabled_account_is_not_served(web, token):
    await in_thread(lambda: tenant_update(tenant=Tenant.objects.get(name="bob"), enabled=False))()

    async with dial(web, token) as socket:
        answer = await call(socket, "Gateway.ListenWalletEvent", {**POLICY, "SupportAccounts": ["bob"]})

    assert answer["error"]["message"] == "verify user [bob wallet] failed: verify bob: Key not found"


async def test_a_wrong_signature_leaves_the_key_out_and_the_others_serve(web, token):
    async with dial(web, token) as socket:
        wallet = Wallet(socket)
        await wallet.send()
        await wallet.respond(await wallet.event("WalletList"))
        told = await wallet.event("WalletSign")
        next(wallet.sent)
        forged = base64.b64encode(json.dumps({"Type": 2, "Data": "aGk="}).encode()).decode()
        answer = {"Id": told["Id"], "Payload": forged, "Error": ""}
        await socket.send(json.dumps({"id": 3, "method": "Gateway.ResponseWalletEvent", "params": [answer]}))
        for _ in range(2):
            await wallet.respond(await wallet.event("WalletSign"))
        await wallet.event("InitConnect")
        bls, secp, _ = payload(FROM_WALLET[1]["params"][0]["Payload"])

        assert not await in_thread(wallet_has)(bls, accounts=["alice"])
        assert await in_thread(wallet_has)(secp, accounts=["alice"])


async def test_another_socket_cannot_answer(web, token):
    other = await in_thread(people.token)("read", of="mallory")
    async with dial(web, token) as socket, dial(web, other) as foreign:
        wallet = Wallet(socket)
        await wallet.send()
        told = await wallet.event("WalletList")
        answer = {"Id": told["Id"], "Payload": base64.b64encode(b"[]").decode(), "Error": ""}

        refused = await call(foreign, "Gateway.ResponseWalletEvent", answer)

    assert refused["error"]["message"] == f"request id {told['Id']} not exit"


async def test_another_sockets_channel_cannot_be_changed(web, token):
    other = await in_thread(people.token)("read", of="mallory")
    async with dial(web, token) as socket, dial(web, other) as foreign:
        wallet = Wallet(socket)
        await wallet.register()

        added = await call(
            foreign, "Gateway.AddNewAddress", wallet.channel_id, ["f1z5e2mduf7uxnn7k3szuy6vcoapzeigdjjttjjyy"]
        )
        removed = await call(foreign, "Gateway.RemoveAddress", wallet.channel_id, [])

    fault = f"no connect found for wallet mallory and channelID {wallet.channel_id}"
    assert added["error"]["message"] == fault
    assert removed["error"]["message"] == f"channel {wallet.channel_id} not found "


@pytest.mark.parametrize("text", ["", "nonsense", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJuYW1lIjoiYSJ9.x"])
async def test_a_handshake_without_a_good_token_gets_401(web, transactional_db, text):
    headers = people.bearer(text) if text else {}

    with pytest.raises(InvalidStatus) as refusal:
        async with connect(web.ws, additional_headers=headers, proxy=None):
            pass

    assert refusal.value.response.status_code == 401


async def test_a_token_of_another_part_cannot_listen(web, transactional_db):
    sealer = await in_thread(people.token)("write", scopes=["sealer"])

    async with dial(web, sealer) as socket:
        answer = await call(socket, "Gateway.ListenWalletEvent", POLICY)

    assert "the token lacks the scope 'signer'" in answer["error"]["message"]


async def test_a_providers_answers_are_no_calls_and_what_it_asks_is(web, token):
    RULES.clear()
    wallet = await in_thread(people.tenant)("wallet")
    await in_thread(rate_limit_set)(tenant=wallet, capacity=3, reset_ns=3600 * 10**9, service="Gateway")

    async with dial(web, token) as socket:
        player = Wallet(socket)
        await player.register()  # one call, and four answers
        answers = []
        for number in range(100, 104):
            await socket.send(json.dumps({"id": number, "method": "Gateway.Version", "params": []}))
            answers.append(await player.reply(number))

    refused = [answer.get("error", {}).get("message", "") for answer in answers]
    assert refused[:2] == ["", ""]
    assert all(words.startswith("rate-limit,user:wallet") for words in refused[2:])


async def test_a_wallets_words_that_no_database_keeps_stop_nobody(web, token, monkeypatch):
    monkeypatch.setattr("apps.gateway.providers.hub_node.ACTIVITY_EVERY_S", 0.1)
    async with dial(web, token) as socket:
        player = Wallet(socket)
        await player.register()
        address = payload(FROM_WALLET[1]["params"][0]["Payload"])[1]
        asking = asyncio.create_task(
            in_thread(wallet_sign)(address=address, accounts=["wallet"], to_sign=b"x", meta_type="unknown")
        )
        told = await player.event("WalletSign")
        response = {"Id": told["Id"], "Payload": None, "Error": "no\0way \ud800" + "x" * 5_000}
        frame = {"jsonrpc": "2.0", "id": 90, "method": "Gateway.ResponseWalletEvent", "params": [response]}
        await socket.send(json.dumps(frame))
        with pytest.raises(SignerRefused, match=r"^no.way \?xx") as refusal:
            await asking
        for _ in range(1200):
            row = await in_thread(SignerConnection.objects.get)()
            if row.failures:
                break
            await asyncio.sleep(0.05)

    assert len(refusal.value.reason) == 2_000
    assert row.last_failure.startswith("no\u2400way ?xx")
    assert code_of(row.last_failure) == "refused.provider_refused"
