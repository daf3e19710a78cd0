"""The claims of a miner as rows, what our addresses have of DataCap, and who sees what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from apps.chain.errors import NodeRefused
from apps.core.errors import BadValue
from apps.miners.models import Miner
from apps.sectors.models import ClaimsEnding, VerifiedClaim
from apps.sectors.onchain.live_sectors import claims_read
from apps.sectors.selectors.claims import ClaimFilters, claims_visible, clients_largest
from apps.sectors.services.changes.claims_ending import claims_ending_follow
from apps.sectors.services.verified.claims import claims_write
from apps.wallets.services.data_cap import data_caps_refresh
from tests import factories, people, verified_rows
from tests.unit.apps.sectors.sealing import NOON
from tests.unit.apps.sectors.snap_up import NETWORK

pytestmark = pytest.mark.django_db

CID = factories.piece_cid(1)


def told(client: int = 9, **changes: Any) -> dict[str, Any]:
    """A claim as lotus writes it."""
    terms = {"TermMin": 518_400, "TermMax": 5_000, "TermStart": 100, "Sector": 7}
    return {"Provider": 2001, "Client": client, "Data": {"/": CID}, "Size": 1024} | terms | changes


class Chain:
    """A node with a miner's claims and clients' DataCap."""

    def __init__(self, **rows: dict[str, Any]) -> None:
        self.rows = {number.removeprefix("n"): row for number, row in rows.items()}
        self.caps: dict[str, Any] = {}

    def call(self, method: str, *_: Any) -> Any:
        assert method == "StateGetClaims"
        return self.rows

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        assert {method for method, _ in calls} <= {"StateVerifiedClientStatus"}
        return [self.caps.get(params[0]) for _, params in calls]


def written(chain: Chain, miner: Miner) -> dict[int, tuple[int, int, int]]:
    """Client, sector and end of each row after a read."""
    claims = claims_read(cast("Any", chain), miner.address, key="")
    claims_write(miner, claims=(claim for of_sector in claims.values() for claim in of_sector))
    rows = VerifiedClaim.objects.filter(miner=miner)
    return {row.number: (row.client, row.sector_number, row.end_epoch) for row in rows}


def test_rows_are_the_claims_and_those_that_did_not_change_stay() -> None:
    miner, other = factories.miner(2001), factories.miner(2002)
    chain = Chain(n4=told(), n5=told(11, Sector=8), n6=told())
    assert written(Chain(n4=told(12)), other) == {4: (12, 7, 5_100)}

    assert written(chain, miner) == {4: (9, 7, 5_100), 5: (11, 8, 5_100), 6: (9, 7, 5_100)}

    row, extended = (VerifiedClaim.objects.get(miner=miner, number=number) for number in (4, 5))
    assert (row.piece_cid, row.size, row.term_start, row.term_min) == (CID, 1024, 100, 518_400)
    chain.rows = {"4": told(), "5": told(11, Sector=8, TermMax=9_000)}
    assert written(chain, miner) == {4: (9, 7, 5_100), 5: (11, 8, 9_100)}
    assert VerifiedClaim.objects.get(miner=miner, number=4).pk == row.pk
    assert VerifiedClaim.objects.get(miner=miner, number=5).pk == extended.pk, "lists go by it"
    assert VerifiedClaim.objects.filter(miner=other).count() == 1


def test_a_read_adds_up_what_the_miner_has_of_each_client() -> None:
    miner = factories.miner(2001, of="alice", raw_power=1, qa_power=10)
    chain = Chain(n4=told(), n5=told(11, Size=4096), n6=told(), n7=told(13, TermMax=10))
    head = factories.head(1000)
    work: Any = type("Work", (), {"client": chain, "head": head, "now": NOON, "network": NETWORK})

    assert claims_ending_follow(work) == 1

    assert ClaimsEnding.objects.get(miner=miner).clients == [[11, 1, 4096], [9, 2, 2048]], "13's has ended"
    found = clients_largest([miner])
    assert [(one.client, one.count, one.size) for one in found] == [(11, 1, 4096), (9, 2, 2048)]


def listed(of: str = "alice", **wanted: Any) -> list[int]:
    viewer = people.principal(of)
    return [row.number for row in ClaimFilters(wanted, claims_visible(viewer), viewer=viewer).rows()]


def test_claims_are_found_by_client_end_sector_and_piece() -> None:
    mine, other = factories.miner(2001, of="alice"), factories.miner(2002, of="bob")
    for number, end, client in ((1, 3000, 9), (2, 2000, 9), (3, 2000, 11), (4, 900, 9)):
        verified_rows.claim(mine, number=number, end_epoch=end, client=client, sector_number=number)
    verified_rows.claim(other, number=5)

    assert listed() == [4, 2, 3, 1]
    assert listed(ends_from=1000, client="f09") == [2, 1]
    assert listed(ends_to=2000, ends_from=1000) == [2, 3]
    assert listed(sector="3") == listed(q="3") == [3]
    assert listed(q=VerifiedClaim.objects.get(number=1).piece_cid) == [1]
    assert listed("bob") == [5]
    for name in ("client", "q", "sector"):
        with pytest.raises(BadValue) as refused:
            listed(**{name: "x"})
        assert refused.value.field == name


def test_data_cap_of_our_addresses_is_kept_as_the_chain_says() -> None:
    rows = [factories.wallet(actor_id=number, data_cap=cap) for number, cap in ((9, None), (10, 5), (11, 6))]
    factories.wallet(actor_id=None)
    chain = Chain()
    chain.caps = {"f09": "1099511627776", "f011": NodeRefused(1, "loading state failed")}

    assert data_caps_refresh(client=cast("Any", chain), key="") == 2

    for row in rows:
        row.refresh_from_db()
    assert [row.data_cap for row in rows] == [1 << 40, None, 6], "what a node refuses to say stays"
