"""Sectors with verified data live longer: claims stay within their terms, or go at the end of life."""

from __future__ import annotations

import pytest

from poolsite.devnet.actors.miner.state_editor import Reader, sector_quality
from poolsite.devnet.actors.verified.claims import TERM_MAX
from poolsite.devnet.forks import reorg
from poolsite.devnet.state.power_rows import CLAIMS
from poolsite.devnet.state.verified_rows import data_claims_of
from poolsite.filecoin.actors.batch import BatchReturn
from poolsite.filecoin.actors.claims import (
    ClaimTerm,
    ExtendClaimTermsParams,
    RemoveExpiredClaimsParams,
    RemoveExpiredClaimsReturn,
)
from poolsite.filecoin.actors.miner_sectors import (
    ExpirationExtension2,
    ExtendSectorExpiration2Params,
    PieceActivationManifest,
    SectorClaim,
    VerifiedAllocationKey,
)
from poolsite.filecoin.actors.verifreg import Method
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.codec import from_cbor, to_cbor
from poolsite.filecoin.policy import CLAIM_DROP_PERIOD
from tests.naive.pieces import data_commitment
from tests.unit.devnet.later import Later
from tests.unit.devnet.people import OWNER, STRANGER
from tests.unit.devnet.replaying import replay_check
from tests.unit.devnet.verified_data import DATA, REGISTRY, SIZE, World

HALF = SIZE // 2
SHORT = 700_000
"""Term of the second claim in epochs."""


@pytest.fixture(scope="module")
def world():
    """A sector that counts: two claims of half its size each, the second for a shorter term."""
    made = World()
    assert made.verifier() == 0
    assert made.client().exit_code == 0
    halves = [commd_cid(data_commitment(half)) for half in (DATA[:HALF], DATA[HALF:])]
    requests = [
        made.request(data=half, size=HALF, term_max=term)
        for half, term in zip(halves, (TERM_MAX, SHORT), strict=True)
    ]
    assert made.allocate(*requests).exit_code == 0
    proofs, _ = made.seal(1)
    client = made.id_of(STRANGER)
    pieces = tuple(
        PieceActivationManifest(half, HALF, VerifiedAllocationKey(client, at), ())
        for at, half in enumerate(halves, start=1)
    )
    assert made.miner.prove(proofs, pieces={1: pieces}).exit_code == 0
    (sector,) = made.miner.reader.all_sectors()
    made.miner.post(sector.deadline)
    yield made
    replay_check(made.node)
    made.node.close()


def extension(miner, expiration, *, keep=(), drop=(), plain=(), number=1, deadline=None):
    """Params for the sector."""
    sector = miner.reader.sector(1)
    claimed = (SectorClaim(number, tuple(keep), tuple(drop)),) if keep or drop else ()
    entry = ExpirationExtension2(
        deadline=sector.deadline if deadline is None else deadline,
        partition=sector.partition,
        sectors=bitfield_of(plain),
        sectors_with_claims=claimed,
        new_expiration=expiration,
    )
    return to_cbor(ExtendSectorExpiration2Params((entry,)))


class Extension:
    """A wish to let the sector live longer, at an epoch of a test's choice."""

    def __init__(self, world, epoch=0):
        self.miner = world.miner
        self.sector = world.miner.reader.sector(1)
        self.later = Later(world.node, epoch or world.node.head.height + 1)

    def ask(self, expiration, *, who=None, **wishes):
        params = extension(self.miner, expiration, **wishes)
        caller = self.miner.reader.miner.worker if who is None else who
        return self.later.call(caller, self.miner.address, method=32, params=params)

    @property
    def after(self):
        return Reader(self.later.draft, self.miner.id, self.miner.node.network).sector(1)

    @property
    def power(self):
        return self.later.draft.get(CLAIMS, self.miner.id).quality


def test_claims_that_stay_keep_the_sectors_quality(world):
    wish = Extension(world)
    last = wish.sector.activation + SHORT

    assert wish.ask(last, keep=(1, 2))[0] == 0

    after, now = wish.after, wish.later.machine.epoch
    assert (after.expiration, after.power_base_epoch) == (last, now)
    assert (after.verified_weight, after.deal_weight) == (SIZE * (last - now), 0)
    assert (after.pledge, after.daily_fee) == (wish.sector.pledge, wish.sector.daily_fee)
    assert sector_quality(after, SIZE) == wish.power == 10 * SIZE


def test_a_sector_may_not_outlive_a_claim_that_stays(world):
    wish = Extension(world)
    last = wish.sector.activation + SHORT

    code, _, text = wish.ask(last + 1, keep=(1, 2))

    assert code == 18
    assert text == (
        "failed to validate declaration sector=1, claim=2 claim only allows extension to "
        f"{last} but declared new expiration is {last + 1}"
    )


def test_all_claims_of_a_sector_must_be_declared(world):
    wish = Extension(world)
    last = wish.sector.expiration + 1000

    assert "claim missing from declaration for sector 1" in wish.ask(last, plain=(1,))[2]
    assert wish.ask(last, keep=(1,))[::2] == (
        16,
        f"declared verified deal space in claims ({HALF}) does not match verified deal space ({SIZE}) "
        "for sector 1",
    )
    assert wish.ask(last, keep=(1, 9))[::2] == (16, "failed to get claims for sector 1: invalid claims")
    assert wish.ask(last, keep=(1, 2), number=2)[0] == 16, "the claims of another sector"
    assert wish.ask(last, keep=(1, 2), deadline=48)[0] == 16
    assert wish.ask(last, keep=(1, 2), who=world.id_of(STRANGER))[0] == 18
    assert wish.after == wish.sector


def test_claims_are_given_up_in_the_last_month_only(world):
    sector = world.miner.reader.sector(1)
    early = Extension(world, sector.expiration - CLAIM_DROP_PERIOD - 1)
    wish = Extension(world, sector.expiration - CLAIM_DROP_PERIOD)
    last = sector.expiration + 600_000

    code, _, text = early.ask(last, keep=(1,), drop=(2,))
    assert (code, text) == (
        18,
        f"attempt to drop claims with {CLAIM_DROP_PERIOD + 1} epochs > end of life claim drop period "
        f"{CLAIM_DROP_PERIOD} remaining",
    )
    assert wish.ask(last, keep=(1,), drop=(2,))[0] == 0

    after, now = wish.after, wish.later.machine.epoch
    assert after.verified_weight == HALF * (last - now)
    assert sector_quality(after, SIZE) == wish.power == HALF + 10 * HALF
    assert after.daily_fee == sector.daily_fee * 11 // 20
    assert after.pledge == sector.pledge
    assert wish.later.draft.get(data_claims_of(world.miner.id), 2), "the data are still stored"


def test_an_expired_sector_is_not_extended(world):
    sector = world.miner.reader.sector(1)
    wish = Extension(world, sector.expiration + 1)

    assert wish.ask(sector.expiration + 600_000, keep=(1,), drop=(2,))[0] == 18


def registry(later, who, method, params):
    return later.call(who, REGISTRY, method=int(method), params=params)


def test_longer_claim_term_allows_a_longer_sector_life(world):
    wish = Extension(world)
    last = wish.sector.activation + SHORT + 1

    def lengthen(who, term, claim=2):
        terms = ExtendClaimTermsParams((ClaimTerm(world.miner.id, claim, term),))
        params = to_cbor(terms)
        answer = from_cbor(BatchReturn, registry(wish.later, who, Method.EXTEND_CLAIM_TERMS, params)[1])
        return answer.success_count or answer.fail_codes[0].code

    client = world.id_of(STRANGER)
    assert lengthen(world.id_of(OWNER), SHORT + 1) == 18
    assert lengthen(client, SHORT - 1) == 16
    assert lengthen(client, TERM_MAX + 1) == 16
    assert lengthen(client, SHORT + 1, claim=9) == 17
    assert lengthen(client, SHORT + 1) == 1

    assert wish.ask(last, keep=(1, 2))[0] == 0


def test_claims_are_removed_once_their_term_is_over(world):
    start = world.miner.reader.sector(1).activation

    def remove(later, *numbers):
        params = to_cbor(RemoveExpiredClaimsParams(world.miner.id, numbers))
        data = registry(later, world.id_of(OWNER), Method.REMOVE_EXPIRED_CLAIMS, params)[1]
        answer = from_cbor(RemoveExpiredClaimsReturn, data)
        return answer.considered, [(code.idx, code.code) for code in answer.results.fail_codes]

    at_term, after = Later(world.node, start + SHORT), Later(world.node, start + SHORT + 1)
    assert remove(at_term) == ((), [])
    assert remove(after, 1, 2, 9) == ((1, 2, 9), [(0, 18), (2, 17)])
    assert after.draft.keys(data_claims_of(world.miner.id)) == [1]
    assert remove(Later(world.node, start + SHORT + 1)) == ((2,), [])


def test_an_extension_lands_again_after_a_reorg(world):
    before = world.miner.reader.sector(1)
    params = extension(world.miner, before.expiration + 1000, keep=(1, 2))
    assert world.miner.call(32, params).exit_code == 0

    reorg(world.node, 2, nulls=1, with_messages=False)
    assert world.miner.reader.sector(1) == before
    world.node.mine(3)

    after = world.miner.reader.sector(1)
    assert after.expiration == before.expiration + 1000
    assert sector_quality(after, SIZE) == 10 * SIZE
