"""venus-shared's messager client against the console: push, wait, replace, list, rules, senders, nodes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.acceptance.pool import RunningPool
from tests.integration.pools import wait_until
from tests.peers.answers import differences
from tests.peers.conftest import tenant_new, token_of
from tests.peers.programs import Peer, PeerRefused
from tests.peers.questions import Node, transfer

pytestmark = pytest.mark.peer

UNFILLED, FILLED, LANDED, FAILED = 1, 2, 3, 4
"""Source: venus venus-shared/types/messager/message.go."""
FORBIDDEN: Final = 4
ACCOUNT_CODE: Final = {"/": "bafk2bzacedo75pabe4i2l3hvhtsjmijrcytd2y76xwe573uku25fi7sugqld6"}
AUTO: Final = {
    "Auto": True,
    "MaxFee": "0",
    "GasLimit": 0,
    "GasPremium": "0",
    "GasFeecap": "0",
    "GasOverPremium": 0,
}


@pytest.fixture
def hidden(pool: RunningPool) -> Iterator[Node]:
    """Blocks leave pending messages out for as long as the test runs."""
    node = Node(pool.listen, "/rpc/v1", "")
    node.ask("Devnet.SetFaults", {"hideMessages": True})
    yield node
    node.ask("Devnet.ResetFaults")


@pytest.fixture(params=["ws", "http"])
def client(request: pytest.FixtureRequest, venus: Any, pool: RunningPool, admin: str) -> Iterator[Peer]:
    """The messager's client, as the operator."""
    with Peer([venus, "messager", f"{request.param}://127.0.0.1:{pool.port}"], token=admin) as peer:
        yield peer


def lost(pool: RunningPool, client: Peer, method: str, *params: Any) -> list[str]:
    """What the client's types lost of an answer; heads that arrive meanwhile are waited out."""
    found = ["never compared"]
    for _ in range(3):
        understood = client.call(method, *params)
        sent = pool.rpc(f"Message.{method}", *params)["result"]
        found = list(differences(sent, understood))
        if not found:
            break
    return found


def wait_filled(client: Peer, uid: str) -> dict[str, Any]:
    """The message once it has its nonce."""
    wait_until(
        lambda: client.call("GetMessageByUid", uid)["State"] == FILLED, within_s=60, what="a signed message"
    )
    row: dict[str, Any] = client.call("GetMessageByUid", uid)
    return row


def test_a_pushed_message_lands_and_is_found_by_every_name(client, pool, worker):
    uid = client.call("PushMessage", transfer(worker), None)

    waited = client.call("WaitMessage", uid, 1)

    assert (waited["State"], waited["Receipt"]["ExitCode"], waited["Value"]) == (LANDED, 0, "7")
    assert client.call("HasMessageByUid", uid) is True
    assert client.call("HasMessageByUid", "nobody's") is False
    for method, params in {
        "GetMessageByUid": (uid,),
        "GetMessageBySignedCid": (waited["SignedCid"],),
        "GetMessageByUnsignedCid": (waited["UnsignedCid"],),
        "GetMessageByFromAndNonce": (waited["From"], waited["Nonce"]),
    }.items():
        assert client.call(method, *params)["ID"] == uid
        assert lost(pool, client, method, *params) == []
    with pytest.raises(PeerRefused, match="record not found"):
        client.call("GetMessageByUid", "nobody's")


def test_the_same_id_is_one_message(client, worker):
    uid = str(uuid.uuid4())
    spec = {"ExpireEpoch": 0, "GasOverEstimation": 1.3, "MaxFee": "10000000000000000", "GasOverPremium": 1.2}

    pushed = [client.call("PushMessageWithId", uid, transfer(worker), given) for given in (spec, spec)]

    assert pushed == [uid, uid]
    assert client.call("GetMessageByUid", uid)["Meta"]["gasOverEstimation"] == 1.3
    with pytest.raises(PeerRefused, match="already exists with other content"):
        client.call("PushMessageWithId", uid, {**transfer(worker), "Value": "8"}, spec)


def test_a_waiting_message_is_replaced_and_the_new_one_lands(client, worker, hidden):
    uid = client.call("PushMessage", transfer(worker), None)
    first = wait_filled(client, uid)

    client.call("RepublishMessage", uid)
    cid = client.call("ReplaceMessage", {"ID": uid, **AUTO})
    second = client.call("GetMessageByUid", uid)
    fees = {name: second[name] for name in ("GasLimit", "GasPremium")}
    higher = {"Auto": False, "MaxFee": "0", "GasOverPremium": 0, "GasFeecap": str(2 * 10**10)}
    higher |= {"GasLimit": fees["GasLimit"], "GasPremium": str(2 * int(fees["GasPremium"]))}
    last = client.call("ReplaceMessage", {"ID": uid, **higher})

    assert first["SignedCid"] != cid == second["SignedCid"] != last
    assert int(fees["GasPremium"]) >= int(first["GasPremium"]) * 1.25
    hidden.ask("Devnet.ResetFaults")
    landed = client.call("WaitMessage", uid, 0)
    assert (landed["State"], landed["SignedCid"], landed["Nonce"]) == (LANDED, last, first["Nonce"])
    with pytest.raises(PeerRefused, match="message already on chain"):
        client.call("ReplaceMessage", {"ID": uid, **AUTO})


def test_a_message_is_given_up_and_taken_back(client, worker, hidden):
    uid = client.call("PushMessage", transfer(worker), None)
    wait_filled(client, uid)

    client.call("MarkBadMessage", uid)
    assert client.call("GetMessageByUid", uid)["State"] == FAILED
    assert uid in client.call("RecoverFailedMsg", worker)
    assert client.call("GetMessageByUid", uid)["State"] == FILLED

    hidden.ask("Devnet.ResetFaults")
    assert client.call("WaitMessage", uid, 0)["State"] == LANDED
    with pytest.raises(PeerRefused, match="has been final, can not update"):
        client.call("UpdateFilledMessageByID", uid)
    with pytest.raises(PeerRefused, match="record not found"):
        client.call("MarkBadMessage", "nobody's")
    assert client.call("UpdateAllFilledMessage") >= 0


def test_lists(client, pool, worker):
    uid = client.call("PushMessage", transfer(worker), None)
    client.call("WaitMessage", uid, 0)
    query = {"State": [LANDED], "From": [worker], "IsAsc": False, "Limit": 2, "Offset": 0}

    newest = client.call("ListMessage", {**query, "ByUpdateAt": "0001-01-01T00:00:00Z"})
    landed = client.call("ListMessageByFromState", worker, LANDED, False, 1, 3, 0)
    everything = client.call("ListMessageByAddress", worker)

    assert len(newest) <= 2
    assert uid in {row["ID"] for row in landed}
    assert {row["From"] for row in everything} == {worker}
    assert client.call("ListFailedMessage") == []
    assert lost(pool, client, "ListMessageByFromState", worker, LANDED, True, 1, 3, 0) == []


def test_what_waits_too_long_is_listed(client, worker, hidden):
    uid = client.call("PushMessage", transfer(worker), None)
    wait_filled(client, uid)

    assert uid in {row["ID"] for row in client.call("ListBlockedMessage", worker, 1)}
    hidden.ask("Devnet.ResetFaults")
    client.call("WaitMessage", uid, 0)
    assert uid not in {row["ID"] for row in client.call("ListBlockedMessage", worker, 1)}


def test_senders_and_their_rules(client, pool, worker):
    client.call("WaitMessage", client.call("PushMessage", transfer(worker), None), 0)
    client.call("SetSelectMsgNum", worker, 10)
    fees = {"gasOverEstimation": 1.4, "gasOverPremium": 1.1, "maxFeeStr": "30000000000000000"}
    client.call("SetFeeParams", {"address": worker, **fees, "gasFeeCapStr": "", "baseFeeStr": ""})

    row = client.call("GetAddress", worker)
    assert (row["selMsgNum"], row["gasOverEstimation"], row["maxFee"]) == (10, 1.4, "30000000000000000")
    assert client.call("HasAddress", worker) is True
    assert client.call("WalletHas", worker) is True
    assert client.call("WalletHas", "f01234") is False
    assert lost(pool, client, "ListAddress") == []
    client.call("ForbiddenAddress", worker)
    assert client.call("GetAddress", worker)["state"] == FORBIDDEN
    with pytest.raises(PeerRefused, match="is forbidden"):
        client.call("PushMessage", transfer(worker), None)
    client.call("ActiveAddress", worker)
    assert client.call("GetAddress", worker)["state"] != FORBIDDEN
    assert client.call("ClearUnFillMessage", worker) == 0
    with pytest.raises(PeerRefused, match="address not exists"):
        client.call("DeleteAddress", "f01234")


def test_rules_of_the_pool_and_of_one_method(client, pool):
    shared = client.call("GetSharedParams")
    client.call("SetSharedParams", {**shared, "gasOverEstimation": 1.3})
    assert client.call("GetSharedParams")["gasOverEstimation"] == 1.3
    client.call("SetSharedParams", shared)
    rule, fees = str(uuid.uuid4()), {"maxFee": "5", "gasFeeCap": "600", "baseFee": "7"}
    where = {"code": ACCOUNT_CODE, "method": int(rule[:4], 16), "version": 17}
    client.call(
        "SaveActorCfg", {"id": rule, **where, "gasOverEstimation": 1.5, "gasOverPremium": 2.5, **fees}
    )

    client.call("UpdateActorCfg", rule, {"GasOverEstimation": 1.75, "MaxFee": "9"})

    row = client.call("GetActorCfgByID", rule)
    assert {name: row[name] for name in where} == where
    assert (row["gasOverEstimation"], row["maxFee"], row["gasFeeCap"]) == (1.75, "9", "600")
    assert rule in {row["id"] for row in client.call("ListActorCfg")}
    assert lost(pool, client, "ListActorCfg") == []


def test_nodes_to_publish_to(client, pool):
    name = f"second-{uuid.uuid4()}"
    url = f"http://{pool.listen}/rpc/v1"
    client.call("SaveNode", {"ID": str(uuid.uuid4()), "Name": name, "URL": url, "Token": "", "Type": 1})

    assert client.call("HasNode", name) is True
    assert client.call("GetNode", name)["URL"] == url
    assert lost(pool, client, "ListNode") == []
    client.call("DeleteNode", name)
    assert client.call("HasNode", name) is False
    with pytest.raises(PeerRefused, match="record not found"):
        client.call("GetNode", name)


def test_quick_send_takes_parameters_in_hex(client, worker):
    wish = {"To": "f01000", "From": worker, "Val": "0", "Account": "", "Method": 2, "Params": ""}

    with pytest.raises(PeerRefused, match="unexpected param type"):
        client.call("Send", {**wish, "ParamsType": "zz"})
    with pytest.raises(PeerRefused, match="do not use it to send funds"):
        client.call("Send", {**wish, "Method": 0, "ParamsType": "hex"})
    with pytest.raises(PeerRefused, match="failed to decode hex params"):
        client.call("Send", {**wish, "Params": "xy", "ParamsType": "hex"})


def test_a_tenant_sees_and_sends_nothing_of_others(pool, venus, worker):
    tenant = tenant_new(pool, "stranger")
    url = f"ws://127.0.0.1:{pool.port}"
    uid = pool.rpc("Message.PushMessage", transfer(worker), None)["result"]
    with Peer([venus, "messager", url], token=token_of(pool, tenant)) as stranger:
        with pytest.raises(PeerRefused, match="not a wallet of this account"):
            stranger.call("PushMessage", transfer(worker), None)
        with pytest.raises(PeerRefused, match="record not found"):
            stranger.call("GetMessageByUid", uid)
        with pytest.raises(PeerRefused, match=r"missing permission to invoke '\S+'  \(only the pool's"):
            stranger.call("ListNode")


def test_a_reading_token_cannot_push(pool, venus, worker):
    url = f"http://127.0.0.1:{pool.port}"
    with Peer([venus, "messager", url], token=token_of(pool, "pool", perm="read")) as reader:
        assert reader.call("Version")["Version"]
        with pytest.raises(PeerRefused, match=r"missing permission to invoke '\S+'  \(need 'write'\)"):
            reader.call("PushMessage", transfer(worker), None)


def test_calls_in_flight_are_answered_each(client, worker):
    numbers = [client.begin("PushMessage", {**transfer(worker), "Value": str(at)}, None) for at in range(20)]

    uids = [client.end(number)["result"] for number in numbers]

    assert len(set(uids)) == len(uids)
    landed = [client.begin("WaitMessage", uid, 0) for uid in uids]
    rows = [client.end(number)["result"] for number in landed]
    assert [(row["ID"], row["State"], row["Value"]) for row in rows] == [
        (uid, LANDED, str(at)) for at, uid in enumerate(uids)
    ]
    assert len({row["Nonce"] for row in rows}) == len(rows)
