"""Execution traces: every call that actors make of each other, in lotus' form."""

from __future__ import annotations

import base64
import json

import pytest

from poolsite.devnet.actors.codes import CODES
from poolsite.filecoin.actors.decode import actor_kind, method_name, params_decode, return_decode
from poolsite.filecoin.actors.init import ExecParams
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.actors.multisig import ConstructorParams, ProposeParams
from poolsite.filecoin.actors.power import CreateMinerParams
from poolsite.filecoin.address import INIT_ACTOR, POWER_ACTOR, id_address
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.codec import to_cbor
from tests.unit.devnet.deals import Fair, signed_by
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, chain, signed
from tests.unit.devnet.recorded import Replay
from tests.unit.devnet.sealing import POST_PROOF
from tests.unit.devnet.verified_data import World

GAS = 500_000_000


class Traced:
    """Sends messages on a chain and asks a node for their traces."""

    def __init__(self, node):
        self.node = node
        self.replay = Replay(node, {})

    async def ask(self, method, *params):
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": params}
        exchange = {"path": "/rpc/v1", "token": "read", "request": json.dumps(body)}
        return (await self.replay.answer(exchange)).json()["result"]

    async def sent(self, who, to, **fields):
        """Send a message; what StateReplay says of it."""
        message = signed(self.node, who, to, gas_limit=GAS, **fields)
        self.node.mempool.push(message)
        self.node.mine(2)
        answer = await self.ask("StateReplay", None, {"/": str(message.cid)})
        lookup = self.node.search.find(message.cid, self.node.head.tipset)
        assert answer["MsgRct"]["ExitCode"] == lookup.receipt.exit_code
        return answer

    def kind(self, trace):
        state = trace["InvokedActor"]["State"] if trace["InvokedActor"] else {"Code": {"/": ""}}
        names = {str(code): name for name, code in CODES.items()}
        return actor_kind(id_address(int(trace["InvokedActor"]["Id"])), code_name=names[state["Code"]["/"]])

    def calls(self, trace):
        """The calls as (from, to, method, exit code, [inner calls])."""
        message, method = trace["Msg"], trace["Msg"]["Method"]
        name = f"{self.kind(trace)}.{method_name(self.kind(trace), method)}" if method else "Send"
        inner = [self.calls(one) for one in trace["Subcalls"] or ()]
        return (message["From"], name, trace["MsgRct"]["ExitCode"], *([inner] if inner else []))


@pytest.fixture
def traced():
    node = chain()
    yield Traced(node)
    node.close()


def same_form(trace):
    """Every call has the members of lotus' ExecutionTrace, and parameters that its method can read."""
    assert set(trace) - {"IpldOps"} == {"Msg", "MsgRct", "InvokedActor", "GasCharges", "Subcalls"}
    assert set(trace["Msg"]) == {
        "From",
        "To",
        "Value",
        "Method",
        "Params",
        "ParamsCodec",
        "GasLimit",
        "ReadOnly",
    }
    assert set(trace["MsgRct"]) == {"ExitCode", "Return", "ReturnCodec"}
    for inner in trace["Subcalls"] or ():
        same_form(inner)


async def test_a_send_calls_nothing_else(traced):
    answer = await traced.sent(OWNER, STRANGER.address, value=1)

    trace = answer["ExecutionTrace"]
    same_form(trace)
    assert trace["Subcalls"] is None
    charges = [(charge["Name"], charge["tg"]) for charge in trace["GasCharges"]]
    assert charges[1:] == [("OnValueTransfer", 6_000), ("OnActorUpdate", 475_000)]
    assert sum(gas for _, gas in charges) == answer["MsgRct"]["GasUsed"]
    assert trace["Msg"]["GasLimit"] == GAS - charges[0][1]


async def test_a_wallets_approval_shows_what_it_sends(traced):
    exec_ = ExecParams(CODES["multisig"], to_cbor(ConstructorParams((OWNER.address,), 1, 0, 0)))
    made = (await traced.sent(OWNER, INIT_ACTOR, method=2, params=to_cbor(exec_), value=10 * FIL))[
        "ExecutionTrace"
    ]
    owner, wallet = made["Msg"]["From"], made["Subcalls"][0]["Msg"]["To"]
    assert traced.calls(made) == (owner, "init.Exec", 0, [("f01", "multisig.Constructor", 0)])

    send = ProposeParams(to=STRANGER.address, value=FIL, method=0, params=b"")
    trace = (await traced.sent(OWNER, _address(wallet), method=2, params=to_cbor(send)))["ExecutionTrace"]

    same_form(trace)
    assert traced.calls(trace) == (owner, "multisig.Propose", 0, [(wallet, "Send", 0)])
    inner = trace["Subcalls"][0]
    assert (inner["Msg"]["To"], inner["Msg"]["Value"]) == (str(STRANGER.address), str(FIL))
    assert inner["InvokedActor"]["State"]["Balance"] == str(10_000 * FIL), "as it was when it was called"

    lost = ProposeParams(to=POWER_ACTOR, value=0, method=999, params=b"")
    trace = (await traced.sent(OWNER, _address(wallet), method=2, params=to_cbor(lost)))["ExecutionTrace"]
    assert traced.calls(trace)[3] == [(wallet, "power.Method 999", 22)], "the inner failure is shown"
    assert trace["MsgRct"]["ExitCode"] == 0


def _address(text):
    return id_address(int(text[2:]))


def create(owner, worker):
    return to_cbor(CreateMinerParams(owner, worker, POST_PROOF, b"peer", ()))


async def test_a_miner_is_made_by_way_of_the_init_actor(traced):
    value = traced.node.network.creation_deposit_read
    params = create(OWNER.address, WORKER.address)

    trace = (await traced.sent(OWNER, POWER_ACTOR, method=2, params=params, value=value))["ExecutionTrace"]

    same_form(trace)
    new = trace["Subcalls"][0]["Subcalls"][0]["Msg"]["To"]
    constructor = [
        (new, "reward.ThisEpochReward", 0),
        (new, "power.CurrentTotalPower", 0),
        (new, "account.PubkeyAddress", 0),
    ]
    assert traced.calls(trace) == (
        trace["Msg"]["From"],
        "power.CreateMiner",
        0,
        [("f04", "init.Exec", 0, [("f01", "miner.Constructor", 0, constructor)])],
    )
    assert trace["Subcalls"][0]["Msg"]["Value"] == str(value)
    returned = _bytes(trace["Subcalls"][0]["MsgRct"]["Return"])
    assert return_decode("init", 2, returned)["IDAddress"] == new
    wish = params_decode("miner", 1, _bytes(trace["Subcalls"][0]["Subcalls"][0]["Msg"]["Params"]))
    assert wish["WorkerAddr"] == str(WORKER.address)


async def test_the_constructors_refusal_is_in_every_call(traced):
    params = create(OWNER.address, WORKER.address)

    answer = await traced.sent(OWNER, POWER_ACTOR, method=2, params=params)

    outer = answer["ExecutionTrace"]
    init = outer["Subcalls"][0]
    assert [call["MsgRct"]["ExitCode"] for call in (outer, init, init["Subcalls"][0])] == [19, 19, 19]
    assert answer["Error"].count("(19)") == 3


def _bytes(text):
    return base64.b64decode(text)


async def test_a_miners_calls_are_shown():
    world = World()
    traced = Traced(world.node)
    miner, name = world.miner, str(world.miner.address)
    me = str(id_address(miner.id))

    async def calls(receipt_of):
        receipt_of()
        cid = traced.node.chain.tipset_messages(_included(traced.node))[0][-1][0]
        trace = (await traced.ask("StateReplay", None, {"/": str(cid)}))["ExecutionTrace"]
        same_form(trace)
        assert trace["Msg"]["To"] in (name, me)
        return traced.calls(trace)[3]

    asked = [(me, "reward.ThisEpochReward", 0), (me, "power.CurrentTotalPower", 0)]
    info = miner.seal(1, world.node.head.height - 1)
    enrolled = (me, "power.EnrollCronEvent", 0)
    assert await calls(lambda: miner.precommit(info)) == [*asked, enrolled], "its first one"
    miner.wait_seed(1)
    proof = miner.porep(1)
    assert await calls(lambda: miner.prove({1: proof})) == [*asked, (me, "power.UpdatePledgeTotal", 0)]
    sector = miner.reader.sector(1)
    assert sector is not None
    posted = await calls(lambda: miner.post(sector.deadline))
    assert (me, "power.UpdateClaimedPower", 0) in posted
    wish = to_cbor(WithdrawBalanceParams(FIL))
    trace = (await traced.sent(OWNER, miner.address, method=16, params=wish))["ExecutionTrace"]
    assert traced.calls(trace)[3] == [(me, "Send", 0)]
    assert trace["Subcalls"][0]["Msg"]["Value"] == str(FIL)
    world.node.close()


def _included(node):
    """The newest tipset whose messages are executed."""
    return node.chain.parent(node.head.tipset).tipset


async def test_data_cap_goes_from_actor_to_actor():
    world = World()
    traced = Traced(world.node)
    assert world.verifier() == 0
    assert world.client().exit_code == 0

    async def calls():
        [[(cid, _)]] = traced.node.chain.tipset_messages(_included(traced.node))
        trace = (await traced.ask("StateReplay", None, {"/": str(cid)}))["ExecutionTrace"]
        same_form(trace)
        return traced.calls(trace)

    mint = ("f06", "datacap.MintExported", 0, [("f07", "account.Method 3726118371", 0)])
    assert (await calls())[1:] == ("verifreg.AddVerifiedClient", 0, [mint])
    assert world.allocate(world.request()).exit_code == 0
    hook = ("f07", "verifreg.UniversalReceiverHook", 0)
    assert (await calls())[1:] == ("datacap.TransferExported", 0, [hook])
    proofs, pieces = world.seal(1, allocation=1)
    assert world.miner.prove(proofs, pieces=pieces).exit_code == 0
    me = str(id_address(world.miner.id))
    burn = ("f06", "datacap.BurnExported", 0)
    assert (await calls())[3][0] == (me, "verifreg.ClaimAllocations", 0, [burn])
    world.node.close()


async def test_deals_are_told_from_actor_to_actor():
    fair = Fair()
    traced = Traced(fair.node)
    fair.publish(signed_by(fair.client, fair.proposal()))
    [[(cid, _)]] = fair.node.chain.tipset_messages(_included(fair.node))
    trace = (await traced.ask("StateReplay", None, {"/": str(cid)}))["ExecutionTrace"]
    same_form(trace)
    assert ("f05", "account.AuthenticateMessage", 0) in [
        (*one[:1], one[1].removesuffix("Exported"), one[2]) for one in traced.calls(trace)[3]
    ]

    fair.activated(0)

    [[(cid, _)]] = fair.node.chain.tipset_messages(_included(fair.node))
    trace = (await traced.ask("StateReplay", None, {"/": str(cid)}))["ExecutionTrace"]
    me = str(id_address(fair.miner.id))
    assert (me, "market.SectorContentChangedExported", 0) in traced.calls(trace)[3]
    fair.node.close()


async def test_a_call_without_pay_is_traced_alike(traced):
    message = {
        "To": "f04",
        "From": str(OWNER.address),
        "Method": 2,
        "Value": str(traced.node.network.creation_deposit_read),
        "Params": base64.b64encode(create(OWNER.address, WORKER.address)).decode(),
    }

    answer = await traced.ask("StateCall", message, [])

    assert answer["MsgRct"]["ExitCode"] == 0
    trace = answer["ExecutionTrace"]
    same_form(trace)
    assert trace["Msg"]["GasLimit"] == 9_223_372_036_854_776
    assert [one["Msg"]["To"] for one in trace["Subcalls"]] == ["f01"]


async def test_a_tipset_is_computed_again_with_its_traces(traced):
    node = traced.node
    answer = await traced.sent(OWNER, STRANGER.address, value=1)
    tipset = _included(node)
    key = [{"/": str(cid)} for cid in tipset.cids]

    computed = await traced.ask("StateCompute", tipset.height, None, key)

    assert computed["Root"] == {"/": str(node.chain.link(tipset.key).root)}
    assert [trace for trace in computed["Trace"] if trace["MsgCid"] == answer["MsgCid"]] == [answer]
    own = [trace for trace in computed["Trace"] if trace["Msg"]["From"] == "f00"]
    assert [trace["Msg"]["To"] for trace in own] == ["f02", "f03"], "the block's reward, then cron"
    for trace in own:
        same_form(trace["ExecutionTrace"])
    reward = traced.calls(own[0]["ExecutionTrace"])
    assert reward == ("f00", "reward.AwardBlockReward", 0, [("f02", "miner.ApplyRewards", 0)])
    tick = traced.calls(own[1]["ExecutionTrace"])
    assert [one[1] for one in tick[3]] == ["power.CronTick", "market.CronTick"]
    more = {"To": str(WORKER.address), "From": str(OWNER.address), "Method": 0, "Value": "5"}
    again = await traced.ask("StateCompute", tipset.height + 3, [more, more], key)
    assert [trace["MsgRct"]["ExitCode"] for trace in again["Trace"][len(computed["Trace"]) :]] == [0, 0]
    assert again["Root"] != computed["Root"]
