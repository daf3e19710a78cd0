"""The proof channel, with the frames that a real sophon-gateway sent to its provider."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from apps.core.redis_clients import redis_client
from apps.gateway.hub.routes import proof_route, route_name
from apps.gateway.models import ProverConnection
from apps.sectors.models import ActiveSectors
from apps.users.services.grants import miner_grant
from tests import factories, people
from tests.waiting import until_async
from tests.wire.gateway.dialling import in_thread

GOLDEN = Path(__file__).parents[2] / "golden" / "gateway" / "proof_ws_frames.jsonl"
ROWS = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
FRAMES = [row["frame"] for row in ROWS if "frame" in row]
RECORDED = next(row["decoded_payload"] for row in ROWS if "SectorInfos" in row.get("decoded_payload", {}))
SEALED = {"/": "bagboea4b5abcatlxechwbp7kjpjguna6r6q7ejrhe6mdp3lf34pmswn27pkkiekz"}
REQUEST: dict[str, Any] = {  # recorded with a randomness and a sealed CID that no prover could take
    **RECORDED,
    "SectorInfos": [{**RECORDED["SectorInfos"][0], "SealedCID": SEALED}],
    "Rand": base64.b64encode(bytes(32)).decode(),
}
PROOFS = [{"PoStProof": 3, "ProofBytes": base64.b64encode(b"proof").decode()}]


def decoded(frame: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(frame["params"][1]["Payload"]))


@pytest.fixture
def token(transactional_db: None) -> str:
    miner_grant(tenant=people.tenant("alice"), actor_id=1000)
    return people.token("read", scopes=["prover"])


async def receive(socket: Any) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 60))


async def listen(socket: Any, miner: str = "f01000") -> Any:
    frame = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "Gateway.ListenProofEvent",
        "params": [{"MinerAddress": miner}],
    }
    await socket.send(json.dumps(frame))
    return await receive(socket)


async def compute(web: Any, admin: str, miner: str = "f01000", **changes: Any) -> Any:
    values = [changes.get(name, REQUEST[name]) for name in ("SectorInfos", "Rand", "Height", "NWVersion")]
    body = {"jsonrpc": "2.0", "id": 1, "method": "Gateway.ComputeProof", "params": [miner, *values]}
    async with httpx.AsyncClient(headers=people.bearer(admin)) as client:
        return (await client.post(web.url, json=body)).json()


async def test_a_prover_gets_the_recorded_request_and_its_answer_comes_back(web, token):
    admin = await in_thread(people.operator_token)()
    async with connect(web.ws, additional_headers=people.bearer(token), proxy=None) as socket:
        answer = await listen(socket)
        told = await receive(socket)
        asking = asyncio.create_task(compute(web, admin))
        asked = await receive(socket)
        response = {"Id": asked["params"][1]["Id"], "Error": ""}
        response["Payload"] = base64.b64encode(json.dumps(PROOFS).encode()).decode()
        frame = {"jsonrpc": "2.0", "id": 2, "method": "Gateway.ResponseProofEvent", "params": [response]}
        await socket.send(json.dumps(frame))
        reply = await receive(socket)
        result = await asking

    assert answer == {**FRAMES[0]}
    assert (told["params"][1]["Method"], list(decoded(told))) == ("InitConnect", ["ChannelId"])
    assert (asked["params"][1]["Method"], decoded(asked)) == ("ComputeProof", REQUEST)
    assert reply == FRAMES[-1]
    assert result["result"] == PROOFS


async def answers(socket: Any, proofs: Any) -> None:
    """Answer every request on this socket with these proofs."""
    await listen(socket)
    async for text in socket:
        frame = json.loads(text)
        told = frame["params"][1] if frame.get("method") == "xrpc.ch.val" else {}
        if told.get("Method") == "ComputeProof":
            payload = base64.b64encode(json.dumps(proofs).encode()).decode()
            response = {"Id": told["Id"], "Payload": payload, "Error": ""}
            reply = {"jsonrpc": "2.0", "id": 2, "method": "Gateway.ResponseProofEvent", "params": [response]}
            await socket.send(json.dumps(reply))


@pytest.mark.parametrize("has_other", [True, False])
async def test_an_answer_that_is_too_large_is_followed_by_another_provers(
    web, token, has_other, settings, monkeypatch
):
    settings.PROVIDER_RESPONSE_MAX_BYTES = 1_000
    monkeypatch.setattr("apps.gateway.hub.client.RECONNECT_WAIT_S", 0.5)
    admin, sockets = await in_thread(people.operator_token)(), []
    for proofs in ([*PROOFS, "x" * 1_000], PROOFS)[: 1 + has_other]:
        socket = await connect(web.ws, additional_headers=people.bearer(token), proxy=None)
        sockets.append((socket, asyncio.create_task(answers(socket, proofs))))
    await until_async(lambda: len(provers_known()) >= len(sockets))

    replies = [await compute(web, admin) for _ in range(6 if has_other else 1)]

    for socket, task in sockets:
        await socket.close()
        await task
    if has_other:
        assert [reply["result"] for reply in replies] == [PROOFS] * 6
    else:
        words = replies[0]["error"]["message"]
        assert words.startswith("all request failed: ComputeProof connection ")
        assert words.endswith(" of alice: the response is larger than 1000 bytes")


def provers_known() -> list[Any]:
    """The provers that the web process knows by now."""
    return list(redis_client().hgetall(route_name(proof_route(1000))))


async def test_a_miner_of_somebody_else_is_refused_in_the_peers_words(web, token):
    async with connect(web.ws, additional_headers=people.bearer(token), proxy=None) as socket:
        answer = await listen(socket, "f01001")

    words = "verify miner:f01001 failed:miner:f01001 not exist in user:alice, please bind it on 'sophon-auth'"
    assert answer["error"]["message"] == words


async def test_a_miner_without_prover_is_said_at_once(web, token):
    admin = await in_thread(people.operator_token)()

    answer = await compute(web, admin, "f01005")

    assert answer["error"]["message"] == "no connections for this miner f01005"


async def test_a_tenants_admin_cannot_ask_for_anothers_proof(web, token):
    stranger = await in_thread(people.token)("admin", of="mallory")

    answer = await compute(web, stranger)

    assert answer["error"]["message"] == "miner f01000 not exist in user mallory: permission deny"


async def test_a_tenants_admin_cannot_have_anothers_piece_unsealed(web, token):
    stranger = await in_thread(people.token)("admin", of="mallory")
    piece = {"/": "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"}
    async with connect(web.ws, additional_headers=people.bearer(token), proxy=None) as socket:
        policy = {"id": 1, "method": "Gateway.ListenMarketEvent", "params": [{"Miner": "f01000"}]}
        await socket.send(json.dumps(policy))
        assert (await receive(socket))["result"] == 1
        await receive(socket)
        body = {"id": 1, "method": "Gateway.SectorsUnsealPiece"}
        values = ["f01000", piece, 9, 0, 1016, "http://x"]
        async with httpx.AsyncClient(headers=people.bearer(stranger)) as client:
            answer = (await client.post(web.url, json={**body, "params": values})).json()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.3)

    assert answer["error"]["message"] == "miner f01000 not exist in user mallory: permission deny"


async def test_a_storage_is_asked_to_unseal_a_piece(web, token):
    admin = await in_thread(people.operator_token)()
    piece = {"/": "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"}
    asked = {"PieceCid": piece, "Miner": "f01000", "Sid": 9, "Offset": 0, "Size": 1016, "Dest": "http://x"}
    async with connect(web.ws, additional_headers=people.bearer(token), proxy=None) as socket:
        policy = {"id": 1, "method": "Gateway.ListenMarketEvent", "params": [{"Miner": "f01000"}]}
        await socket.send(json.dumps(policy))
        assert (await receive(socket))["result"] == 1
        await receive(socket)
        body = {"id": 1, "method": "Gateway.SectorsUnsealPiece"}
        values = ["f01000", piece, 9, 0, 1016, "http://x"]
        async with httpx.AsyncClient(headers=people.bearer(admin)) as client:
            asking = asyncio.create_task(client.post(web.url, json={**body, "params": values}))
            told = await receive(socket)
            payload = base64.b64encode(b'"finished"').decode()
            answer = {"Id": told["params"][1]["Id"], "Payload": payload, "Error": ""}
            await socket.send(
                json.dumps({"id": 2, "method": "Gateway.ResponseMarketEvent", "params": [answer]})
            )
            result = (await asking).json()
            listed = await client.post(
                web.url, json={"id": 3, "method": "Gateway.ListMarketConnectionsState"}
            )

    assert (told["params"][1]["Method"], decoded(told)) == ("SectorsUnsealPiece", asked)
    assert result["result"] == "finished"
    assert [(row["Addr"], row["Conn"]["ConnectionCount"]) for row in listed.json()["result"]] == [
        ("f01000", 1)
    ]


INFO: dict[str, Any] = REQUEST["SectorInfos"][0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"SectorInfos": []}, "sectorInfos: a winning proof is of 1 sector"),
        ({"SectorInfos": None}, "sectorInfos: a winning proof is of 1 sector"),
        ({"SectorInfos": [7]}, "sectorInfos: json: cannot unmarshal into Go value of type struct"),
        ({"SectorInfos": [{**INFO, "SealProof": 99}]}, "sectorInfos: registered seal proof 99"),
        ({"SectorInfos": [{**INFO, "SealedCID": None}]}, "sectorInfos: invalid cid: not a link"),
        (
            {"SectorInfos": [{**INFO, "SectorNumber": "7"}]},
            "sectorInfos: json: cannot unmarshal into Go value of type int64",
        ),
        ({"SectorInfos": [{**INFO, "SectorNumber": 404}]}, "sectorInfos: f01000 has no sector 404"),
        ({"Rand": "AAAA"}, "rand: 3 bytes instead of 32"),
    ],
)
async def test_what_no_prover_could_answer_is_refused_and_no_provers_failure(web, token, changes, reason):
    admin = await in_thread(people.operator_token)()
    await in_thread(lambda: ActiveSectors.objects.create(miner=factories.miner(1000), numbers=[[0, 9]]))()
    async with connect(web.ws, additional_headers=people.bearer(token), proxy=None) as socket:
        answering = asyncio.create_task(answers(socket, PROOFS))
        await until_async(provers_known)

        answer = await compute(web, admin, **changes)

        answering.cancel()
    assert answer["error"]["message"] == reason
    assert not await in_thread(ProverConnection.objects.exclude(requests=0).exists)()
