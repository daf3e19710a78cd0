"""Deals in sectors on the devnet: activated, paid, ended; every attoFIL is accounted for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from poolsite.devnet.actors.ledger import BURNT
from poolsite.devnet.actors.market.deals import DEAL_NOT_ACTIVATED, Market
from poolsite.devnet.actors.verified.datacap import datacap_of
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.execution import message_simulate
from poolsite.devnet.forks import reorg
from poolsite.devnet.node import Devnet
from poolsite.devnet.rpc.verified import pending_deal_allocation, pending_deal_allocation_id
from poolsite.devnet.state.deal_rows import DEAL_STATES, DEALS
from poolsite.devnet.state.rows import ACTORS
from poolsite.devnet.state.verified_rows import allocations_of
from poolsite.filecoin.actors.market import Method
from poolsite.filecoin.actors.market_deal_queries import (
    DealQueryParams,
    GetDealActivationReturn,
    GetDealAmountReturn,
    GetDealDataCommitmentReturn,
    GetDealSectorReturn,
    GetDealTermReturn,
)
from poolsite.filecoin.actors.market_deals import (
    BatchActivateDealsParams,
    BatchActivateDealsReturn,
    SectorDeals,
)
from poolsite.filecoin.actors.miner_proving import PartitionSectors, TerminateSectorsParams
from poolsite.filecoin.actors.miner_sectors import DataActivationNotification, VerifiedAllocationKey
from poolsite.filecoin.address import MARKET_ACTOR, id_address
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.deals import (
    DEAL_EXPIRED,
    MIN_DURATION,
    TERM_BUFFER,
    client_lockup,
    deal_cid,
    storage_fee,
)
from poolsite.filecoin.message import Message
from poolsite.filecoin.proof_container import update_container
from tests.naive.pieces import data_commitment
from tests.naive.updates import update_prove
from tests.unit.devnet.deals import COLLATERAL, DATA, GAS, PIECE, PRICE, SIZE, Fair, signed_by
from tests.unit.devnet.people import OWNER, chain, send
from tests.unit.devnet.recorded import Replay
from tests.unit.devnet.sealing import SEAL_PROOF, small_miner
from tests.unit.devnet.updates import params as update_params
from tests.unit.devnet.updates import seven_prove, updated
from tests.unit.devnet.verified_data import World


def test_a_piece_in_a_sector_activates_its_deal(fair):
    fair.published(fair.proposal())

    fair.activated(0)

    progress = fair.market.progress(0)
    sector = fair.miner.reader.sector(1)
    assert (progress.sector, progress.start, progress.updated) == (1, sector.activation, -1)
    assert sector.deal_weight == SIZE * (sector.expiration - sector.activation)
    fair.check()


@pytest.mark.parametrize("wrong", ["no such deal", "garbage", "another size", "another actor"])
def test_a_notice_that_fits_no_deal_is_refused(fair, wrong):
    fair.published(fair.proposal())
    proofs = fair.seal(1)
    notice = {
        "no such deal": fair.piece(7).notify[0],
        "garbage": DataActivationNotification(MARKET_ACTOR, b"\xff\x00"),
        "another size": fair.piece(0).notify[0],
        "another actor": DataActivationNotification(OWNER.address, b"\x00"),
    }[wrong]
    pieces = (fair.piece(0, notify=(notice,)),)
    if wrong == "another size":
        fair.published(fair.proposal(piece_size=SIZE // 2, label="half"))
        pieces = (fair.piece(1),)
    code = 16 if wrong == "another actor" else 1004
    plan = {1: pieces}

    assert fair.miner.prove(proofs, pieces=plan, must_notify=True, gas_limit=GAS).exit_code == code
    assert fair.miner.reader.sector(1) is None
    assert fair.miner.prove(proofs, pieces=plan, gas_limit=GAS).exit_code == 0, "nobody insists"
    assert fair.miner.reader.sector(1) is not None
    assert fair.market.progress(0) is None
    fair.check()


def test_a_deal_is_activated_once_and_in_time(fair):
    soon = fair.node.head.height + 25
    fair.published(fair.proposal(), fair.proposal(start_epoch=soon, end_epoch=soon + MIN_DURATION))
    fair.activated(0)
    proofs = fair.seal(2)
    fair.skip_to(soon + 1)

    def told(deal):
        plan = {2: (fair.piece(deal),)}
        return fair.miner.prove(proofs, pieces=plan, must_notify=True, gas_limit=GAS).exit_code

    assert (told(0), told(1)) == (1004, 1004)


def test_a_deal_that_ends_after_its_sector_is_refused(fair):
    proofs = fair.seal(1)
    expiration = fair.miner.reader.precommit(1).expiration
    fair.published(*(fair.proposal(end_epoch=end) for end in (expiration + 1, expiration)))

    def told(deal):
        plan = {1: (fair.piece(deal),)}
        return fair.miner.prove(proofs, pieces=plan, must_notify=True, gas_limit=GAS).exit_code

    assert (told(0), told(1)) == (1004, 0)


def test_data_that_is_snapped_in_activates_its_deal(fair):
    seven_prove(fair.miner)
    update = updated(fair.miner)
    data = commd_cid(update.tree_d.root)
    fair.published(fair.proposal(piece_cid=data))
    proof = update_container(0, [update_prove(update, at) for at in range(update.parameters.partitions)])
    piece = fair.piece(0, cid=data)

    receipt = fair.miner.call(35, update_params(fair.miner, update, proof=proof, pieces=(piece,)))

    assert receipt.exit_code == 0
    assert fair.market.progress(0).sector == 7
    fair.check()


def test_payments_flow_when_somebody_asks_for_them(fair):
    proposal = fair.proposal()
    fair.published(proposal)
    fair.activated(0)
    early = fair.settle(0)
    fair.skip_to(proposal.start_epoch + 30)
    before = fair.escrow(fair.miner.id)[0]

    late = fair.settle(0, 9)

    assert [(one.payment, one.completed) for one in early.settlements] == [(0, False)]
    (paid,) = late.settlements
    elapsed = fair.node.head.height - 1 - proposal.start_epoch
    assert (paid.payment, paid.completed) == (PRICE * elapsed, False)
    assert [(code.idx, code.code) for code in late.results.fail_codes] == [(1, DEAL_EXPIRED)]
    assert fair.escrow(fair.miner.id) == (before + paid.payment, COLLATERAL)
    assert fair.escrow(fair.client_id)[1] == client_lockup(proposal) - paid.payment
    again = fair.settle(0)
    assert 0 < again.settlements[0].payment < paid.payment, "only what came since"
    fair.check()


def test_a_deal_that_was_never_stored_costs_the_miner_its_collateral(fair):
    soon = fair.node.head.height + 10
    fair.published(fair.proposal(start_epoch=soon, end_epoch=soon + MIN_DURATION))
    burnt = fair.state.get(ACTORS, BURNT).balance
    assert fair.settle(0).results.success_count == 1, "too early: nothing happens"
    fair.skip_to(soon)

    answer = fair.settle(0)

    assert [(code.idx, code.code) for code in answer.results.fail_codes] == [(0, DEAL_EXPIRED)]
    assert fair.escrow(fair.miner.id) == (5 * FIL - COLLATERAL, 0)
    assert fair.escrow(fair.client_id) == (5 * FIL, 0)
    assert fair.state.get(ACTORS, BURNT).balance >= burnt + COLLATERAL
    assert fair.market.proposal(0) is None
    fair.check()


def test_a_terminated_sector_ends_its_deals_at_the_miners_cost(fair):
    proposal = fair.proposal()
    fair.published(proposal)
    fair.activated(0)
    fair.skip_to(proposal.start_epoch + 20)
    sector = fair.miner.reader.sector(1)
    while not _is_mutable(fair, sector.deadline):
        fair.node.advance(5)
    entry = PartitionSectors(sector.deadline, sector.partition, bitfield_of([1]))
    params = to_cbor(TerminateSectorsParams((entry,)))

    assert fair.miner.call(9, params).exit_code == 0

    earned = PRICE * (fair.node.head.height - 1 - proposal.start_epoch)
    assert fair.escrow(fair.client_id) == (5 * FIL - earned, 0)
    assert fair.escrow(fair.miner.id) == (5 * FIL + earned - COLLATERAL, 0)
    assert fair.market.proposal(0) is None
    assert fair.publish(signed_by(fair.client, fair.proposal())).exit_code == 0
    fair.check()


def _is_mutable(fair, deadline):
    info = fair.miner.reader.deadline_at(deadline, fair.node.head.height + 2)
    return fair.node.head.height + 3 < info.next_not_elapsed().challenge - fair.node.network.proving.window


def test_accounts_cannot_speak_for_miners(fair):
    for method in (
        Method.ACTIVATE_DEALS,
        Method.SECTOR_CONTENT_CHANGED_EXPORTED,
        Method.ON_MINER_SECTORS_TERMINATE,
        Method.VERIFY_DEALS_FOR_ACTIVATION,
    ):
        receipt = send(fair.node, OWNER, MARKET_ACTOR, method=int(method), params=b"\x80", gas_limit=GAS)
        assert receipt.exit_code == 18


def test_a_miner_may_activate_the_deals_of_sectors_in_a_batch(fair):
    small = {"piece_size": SIZE // 2, "piece_cid": commd_cid(data_commitment(DATA[: SIZE // 2]))}
    fair.published(fair.proposal(**small), fair.proposal(**small, label="another"), fair.proposal())
    life = fair.node.head.height + 100 + MIN_DURATION

    def activate(*sectors):
        """What the market answers to the miner, in the state of the head; nothing stays."""
        wish = BatchActivateDealsParams(sectors, True)
        message = Message(
            to=MARKET_ACTOR,
            from_=id_address(fair.miner.id),
            method=int(Method.ACTIVATE_DEALS),
            params=to_cbor(wish),
        )
        machine = fair.node.estimator.machine_on(fair.node.head.tipset)
        receipt, error, _ = message_simulate(machine, replace(message, gas_limit=GAS), from_id=fair.miner.id)
        assert (receipt.exit_code, error) == (0, "")
        return from_cbor(BatchActivateDealsReturn, receipt.return_), Market(machine.draft)

    answer, market = activate(
        SectorDeals(1, int(SEAL_PROOF), life, (0, 1)),
        SectorDeals(2, int(SEAL_PROOF), life, (1,)),
        SectorDeals(3, int(SEAL_PROOF), life, (2, 2)),
        SectorDeals(4, int(SEAL_PROOF), life, (9,)),
        SectorDeals(5, int(SEAL_PROOF), fair.node.head.height, (2,)),
        SectorDeals(6, int(SEAL_PROOF), life, (2,)),
    )

    codes = [(fail.idx, fail.code) for fail in answer.activation_results.fail_codes]
    assert codes == [(1, 16), (2, 16), (3, 17), (4, 16)]
    assert [len(sector.activated) for sector in answer.activations] == [2, 1]
    assert answer.activations[1].unsealed_cid == PIECE
    assert [market.progress(deal).sector for deal in (0, 1, 2)] == [1, 1, 6]
    assert fair.market.progress(0) is None, "it was asked only"


def test_anybody_may_ask_the_market_of_a_deal(fair):
    proposal = fair.proposal()
    fair.published(proposal)

    def ask(name, deal=0):
        params = to_cbor(DealQueryParams(deal))
        method = int(Method[f"GET_DEAL_{name}_EXPORTED"])
        return send(fair.node, OWNER, MARKET_ACTOR, method=method, params=params, gas_limit=GAS)

    assert from_cbor(GetDealDataCommitmentReturn, ask("DATA_COMMITMENT").return_).data == PIECE
    term = from_cbor(GetDealTermReturn, ask("TERM").return_)
    assert (term.start, term.duration) == (proposal.start_epoch, MIN_DURATION)
    assert from_cbor(GetDealAmountReturn, ask("TOTAL_PRICE").return_).amount == storage_fee(proposal)
    assert from_cbor(GetDealAmountReturn, ask("PROVIDER_COLLATERAL").return_).amount == COLLATERAL
    assert ask("CLIENT").return_ == ask("CLIENT").return_ != ask("PROVIDER").return_
    assert ask("LABEL").return_ == b"\x67a label"
    assert ask("VERIFIED").return_ == b"\xf4"
    assert ask("SECTOR").exit_code == DEAL_NOT_ACTIVATED
    assert from_cbor(GetDealActivationReturn, ask("ACTIVATION").return_).activated == -1
    assert ask("TERM", 5).exit_code == 17
    fair.activated(0)
    assert from_cbor(GetDealSectorReturn, ask("SECTOR").return_).sector == 1
    assert from_cbor(GetDealActivationReturn, ask("ACTIVATION").return_).activated > 0


async def test_nodes_tell_of_deals(fair):
    proposal = fair.proposal()
    fair.published(proposal)
    replay = Replay(fair.node, {})

    async def ask(method, *params):
        body = {"jsonrpc": "2.0", "id": 1, "method": f"Filecoin.{method}", "params": [*params, []]}
        exchange = {"path": "/rpc/v1", "token": "read", "request": json.dumps(body)}
        return (await replay.answer(exchange)).json()

    deal = (await ask("StateMarketStorageDeal", 0))["result"]
    assert deal["State"] == {
        "SectorNumber": 0,
        "SectorStartEpoch": -1,
        "LastUpdatedEpoch": -1,
        "SlashEpoch": -1,
    }
    assert deal["Proposal"]["PieceCID"] == {"/": str(PIECE)}
    assert deal["Proposal"]["Provider"] == f"f0{fair.miner.id}"
    assert deal["Proposal"]["Label"] == "a label"
    assert "deal 1 not found" in (await ask("StateMarketStorageDeal", 1))["error"]["message"]
    cid = {"/": str(deal_cid(replace(proposal, client=id_address(fair.client_id))))}
    assert (await ask("StateMarketProposalPending", cid))["result"] is True
    fair.activated(0)
    everything = (await ask("StateMarketDeals"))["result"]
    assert everything["0"]["State"]["SectorNumber"] == 1
    parties = (await ask("StateMarketParticipants"))["result"]
    assert parties[f"f0{fair.miner.id}"] == {"Escrow": str(5 * FIL), "Locked": str(COLLATERAL)}
    assert (await ask("StateMarketBalance", str(fair.client.address)))["result"]["Locked"] == str(
        client_lockup(proposal)
    )
    bounds = (await ask("StateDealProviderCollateralBounds", SIZE, False))["result"]
    assert 0 < int(bounds["Min"]) < COLLATERAL
    own = (await ask("StateReadState", "f05"))["result"]["State"]
    assert (own["NextID"], own["TotalProviderLockedCollateral"]) == (1, str(COLLATERAL))


@pytest.fixture
def granted():
    """A fair whose client has data cap for four sectors."""
    world = World()
    assert world.verifier() == 0
    assert world.client().exit_code == 0
    yield Fair(miner=world.miner)
    world.node.close()


def test_a_verified_deal_spends_data_cap_and_its_sector_counts_ten_times(granted):
    fair = granted
    deals = [fair.proposal(verified_deal=True, label=str(number)) for number in range(5)]

    answer = fair.published(*deals)

    assert answer.ids == (0, 1, 2, 3), "the data cap is for four"
    assert datacap_of(fair.state, fair.client_id) == 0
    assert [fair.market.deal(number).allocation for number in answer.ids] == [1, 2, 3, 4]
    row = fair.state.get(allocations_of(fair.client_id), 2)
    term = deals[1].end_epoch - deals[1].start_epoch
    assert (row.provider, row.data, row.term_min) == (fair.miner.id, PIECE, term)
    assert (row.term_max, row.expiration) == (term + TERM_BUFFER, deals[1].start_epoch)
    piece = fair.piece(1, verified_allocation_key=VerifiedAllocationKey(fair.client_id, 2))
    assert pending_deal_allocation_id(fair.node, 1, ()) == 2
    assert pending_deal_allocation(fair.node, 1, ())["Data"] == {"/": str(deals[1].piece_cid)}
    assert fair.miner.prove(fair.seal(1), pieces={1: (piece,)}, must_notify=True).exit_code == 0
    sector = fair.miner.reader.sector(1)
    assert sector.verified_weight == SIZE * (sector.expiration - sector.activation)
    assert fair.market.deal(1).allocation is None
    for number in (1, 99):
        assert pending_deal_allocation_id(fair.node, number, ()) == 0
        assert pending_deal_allocation(fair.node, number, ()) is None
    assert fair.state.keys(allocations_of(fair.client_id)) == [1, 3, 4]
    fair.check()


def test_a_pre_commit_may_name_deals_but_nothing_proves_it(fair):
    fair.published(fair.proposal(start_epoch=10_000, end_epoch=10_000 + MIN_DURATION))
    info = fair.miner.seal(1, fair.node.head.height - 1, DATA)
    wrong = {
        "other data": (replace(info, deal_ids=(0,), unsealed_cid=None), 16),
        "twice the same": (replace(info, deal_ids=(0, 0)), 16),
        "no such deal": (replace(info, deal_ids=(9,)), 17),
    }

    assert {why: fair.miner.precommit(one, gas_limit=GAS).exit_code for why, (one, _) in wrong.items()} == {
        why: code for why, (_, code) in wrong.items()
    }
    assert fair.miner.precommit(replace(info, deal_ids=(0,))).exit_code == 0
    fair.miner.wait_seed(1)

    assert (
        fair.miner.prove({1: fair.miner.porep(1)}, pieces={1: (fair.piece(0),)}, gas_limit=GAS).exit_code
        == 16
    )
    receipt = fair.miner.prove(
        {1: fair.miner.porep(1)}, pieces={1: (fair.piece(0),)}, require_all=False, gas_limit=GAS
    )
    assert receipt.exit_code == 16


def test_deals_land_again_after_a_reorg(fair):
    fair.published(fair.proposal())
    fair.activated(0)
    fair.settle(0)
    height = fair.node.head.height

    reorg(fair.node, 4, nulls=1, with_messages=False)
    assert fair.market.progress(0) is None, "the activation was on the branch that is gone"
    fair.node.mine(4)

    assert fair.node.head.height > height
    assert fair.market.progress(0) is not None
    fair.check()


def test_deals_survive_a_restart(tmp_path):
    path = tmp_path / "chain.sqlite"
    fair = Fair(miner=small_miner(chain(path)))
    fair.published(fair.proposal(), fair.proposal(label="another"))
    fair.activated(0)
    root, deals = fair.node.head.root, fair.state.records(DEALS)
    fair.node.close()

    again = Devnet(path, clock=ManualClock())

    state = again.chain.state_after(again.head.key)
    assert (again.head.root, state.root(), state.records(DEALS)) == (root, root, deals)
    assert state.get(DEAL_STATES, 0).sector == 1
    assert Market(state).is_pending(deal_cid(Market(state).proposal_or_fail(1)))
    again.close()
