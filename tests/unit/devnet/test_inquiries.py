"""What anybody may ask a miner: the answers are those of its state."""

from __future__ import annotations

import pytest

from poolsite.devnet.actors.miner.inquiries import Status
from poolsite.filecoin.actors.decode import params_encode, return_decode
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_status import ValidateSectorStatusParams
from poolsite.filecoin.cbor import encode
from poolsite.filecoin.codec import to_cbor
from tests.unit.devnet.later import Later
from tests.unit.devnet.people import OWNER, STRANGER, WORKER, chain
from tests.unit.devnet.sealing import small_miner


@pytest.fixture(scope="module")
def miner():
    small = small_miner(chain())
    small.add_sectors(1)
    yield small
    small.node.close()


def ask(miner, name, value=None, *, who=99):
    """The answer as JSON, or the exit code."""
    number = int(Method[f"{name}_EXPORTED"])
    later = Later(miner.node, miner.node.head.height + 1)
    code, data, _ = later.call(
        who, miner.address, method=number, params=params_encode("miner", number, value)
    )
    return code or return_decode("miner", number, data)


def test_its_people(miner):
    info = miner.reader.miner
    addresses = [who.address for who in (OWNER, WORKER, STRANGER)]

    assert ask(miner, "GET_OWNER") == {"Owner": f"f0{info.owner}", "Proposed": None}
    assert [ask(miner, "IS_CONTROLLING_ADDRESS", str(address)) for address in addresses] == [
        True,
        True,
        False,
    ]
    assert ask(miner, "GET_BENEFICIARY")["Active"]["Beneficiary"] == f"f0{info.owner}"
    assert ask(miner, "GET_PEER_ID") == {"PeerId": None}
    assert ask(miner, "GET_MULTIADDRS") == {"MultiAddrs": None}


def test_its_money(miner):
    info, balance = miner.reader.miner, miner.reader.balance

    assert ask(miner, "GET_SECTOR_SIZE") == 2048
    assert ask(miner, "INITIAL_PLEDGE") == str(info.pledge)
    assert ask(miner, "GET_AVAILABLE_BALANCE") == str(balance - info.locked - info.deposits - info.pledge)
    assert len(ask(miner, "GET_VESTING_FUNDS")["VestingFunds"]) == len(info.vesting) > 0
    fee = int(ask(miner, "MAX_TERMINATION_FEE", {"Power": "2048", "InitialPledge": str(10**20)}))
    assert fee == 10**20 * 85 // 1000


def test_its_sectors(miner):
    sector = miner.reader.sector(1)
    here = ask(miner, "GENERATE_SECTOR_LOCATION", {"SectorNumber": 1})
    gone = ask(miner, "GENERATE_SECTOR_LOCATION", {"SectorNumber": 7})

    def status(number, place, code):
        wish = {"SectorNumber": number, "Status": int(code), "AuxData": place}
        return ask(miner, "VALIDATE_SECTOR_STATUS", wish)

    assert (here["Status"], gone["Status"]) == (Status.ACTIVE, Status.DEAD)
    assert ask(miner, "GET_NOMINAL_SECTOR_EXPIRATION", 1) == sector.expiration
    assert ask(miner, "GET_NOMINAL_SECTOR_EXPIRATION", 7) == 17
    assert [status(1, here["AuxData"], code) for code in Status] == [False, True, False]
    assert [status(7, gone["AuxData"], code) for code in Status] == [True, False, False]
    assert status(7, here["AuxData"], Status.DEAD) == 17, "it is not there"
    assert status(1, gone["AuxData"], Status.DEAD) == 17, "it is somewhere"


@pytest.mark.parametrize("place", [b"", b"\x80", encode([1, -1]), encode([1, "2"]), encode([1, 2, 3])])
def test_a_place_that_is_none_is_refused(miner, place):
    later = Later(miner.node, miner.node.head.height + 1)
    number = int(Method.VALIDATE_SECTOR_STATUS_EXPORTED)
    params = to_cbor(ValidateSectorStatusParams(1, 1, place))

    assert later.call(99, miner.address, method=number, params=params)[0] == 16
