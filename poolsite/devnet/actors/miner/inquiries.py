"""What anybody may ask a miner: its people, its money, its sectors.

Source: builtin-actors actors/miner/src/lib.rs get_owner, is_controlling_address, max_termination_fee,
generate_sector_location, validate_sector_status and their neighbours; FIP-0050, FIP-0112.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.actors.actor_errors import bad_argument, not_found
from poolsite.devnet.actors.economy import economy
from poolsite.devnet.actors.ledger import resolve
from poolsite.devnet.actors.miner.funds import available
from poolsite.devnet.actors.miner.state_editor import Reader
from poolsite.filecoin import pledge
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import (
    AmountReturn,
    GetMultiaddrsReturn,
    GetOwnerReturn,
    GetPeerIDReturn,
    GetSectorSizeReturn,
    GetVestingFundsReturn,
    IsControllingAddressParams,
    IsControllingAddressReturn,
    MaxTerminationFeeParams,
    VestingFund,
)
from poolsite.filecoin.actors.miner_status import (
    GenerateSectorLocationParams,
    GenerateSectorLocationReturn,
    GetNominalSectorExpirationParams,
    GetNominalSectorExpirationReturn,
    ValidateSectorStatusParams,
    ValidateSectorStatusReturn,
)
from poolsite.filecoin.address import id_address
from poolsite.filecoin.cbor import BadCbor, decode, encode
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.sector_rows import Partition

NOWHERE: Final = -1
"""Deadline and partition of a sector that has none."""


class Status(enum.IntEnum):
    """SectorStatusCode."""

    DEAD = 0
    ACTIVE = 1
    FAULTY = 2


def _reader(call: Call) -> Reader:
    return Reader(call.draft, call.receiver, call.network)


def owner(call: Call) -> bytes:
    """Handle GetOwner."""
    miner = _reader(call).miner
    proposed = None if miner.pending_owner is None else id_address(miner.pending_owner)
    return to_cbor(GetOwnerReturn(id_address(miner.owner), proposed))


def is_controlling(call: Call) -> bytes:
    """Handle IsControllingAddress."""
    address_id = resolve(call.draft, call.read(IsControllingAddressParams).address)
    miner = _reader(call).miner
    is_controller = address_id in (miner.owner, miner.worker, *miner.control)
    return to_cbor(IsControllingAddressReturn(is_controller))


def sector_size(call: Call) -> bytes:
    """Handle GetSectorSize."""
    return to_cbor(GetSectorSizeReturn(_reader(call).miner.sector_size))


def available_balance(call: Call) -> bytes:
    """Handle GetAvailableBalance: negative in debt."""
    reader = _reader(call)
    return to_cbor(AmountReturn(available(reader.miner, reader.balance)))


def initial_pledge(call: Call) -> bytes:
    """Handle InitialPledge."""
    return to_cbor(AmountReturn(_reader(call).miner.pledge))


def vesting_funds(call: Call) -> bytes:
    """Handle GetVestingFunds."""
    funds = tuple(VestingFund(epoch, amount) for epoch, amount in _reader(call).miner.vesting)
    return to_cbor(GetVestingFundsReturn(funds))


def peer(call: Call) -> bytes:
    """Handle GetPeerID."""
    return to_cbor(GetPeerIDReturn(_reader(call).miner.peer))


def multiaddrs(call: Call) -> bytes:
    """Handle GetMultiaddrs."""
    return to_cbor(GetMultiaddrsReturn(_reader(call).miner.multiaddrs))


def max_termination_fee(call: Call) -> bytes:
    """Handle MaxTerminationFee."""
    params = call.read(MaxTerminationFeeParams)
    fault_fee = economy(call.machine).fault_fee(params.power)
    age = pledge.TERMINATION_FULL_AGE
    fee = pledge.termination_fee(params.initial_pledge, age=age, sector_fault_fee=fault_fee)
    return to_cbor(AmountReturn(fee))


def _status(partition: Partition, number: int) -> Status:
    if number in partition.terminated:
        return Status.DEAD
    return Status.FAULTY if number in partition.faults else Status.ACTIVE


def sector_location(call: Call) -> bytes:
    """Handle GenerateSectorLocation."""
    number = call.read(GenerateSectorLocationParams).sector_number
    status, position = Status.DEAD, [NOWHERE, NOWHERE]
    for (deadline, index), partition in _reader(call).all_partitions():
        if number in partition.sectors:
            status, position = _status(partition, number), [deadline, index]
    location = GenerateSectorLocationReturn(int(status), encode(position))
    return to_cbor(location)


def sector_status(call: Call) -> bytes:
    """Handle ValidateSectorStatus: looks only where the caller says.  Raises ActorError 16, 17."""
    params = call.read(ValidateSectorStatusParams)
    number, reader = params.sector_number, _reader(call)
    deadline, index = _location_read(params.aux_data)
    if (deadline == NOWHERE) != (index == NOWHERE):
        raise bad_argument("invalid sector location: deadline and partition must both be NO or both be set")
    if deadline == NOWHERE:
        if reader.sector(number) is not None:
            raise not_found(f"sector {number} not found at NO_DEADLINE, NO_PARTITION")
        is_valid = params.status == Status.DEAD
    else:
        partition = reader.partition(deadline, index)
        if partition is None or number not in partition.sectors:
            raise not_found(f"sector {number} not found at deadline {deadline} partition {index}")
        is_valid = params.status == _status(partition, number)
    return to_cbor(ValidateSectorStatusReturn(is_valid))


def _location_read(data: bytes) -> tuple[int, int]:
    """Deadline and partition out of what `sector_location` gave.  Raises ActorError 16."""
    try:
        value: Any = decode(data)
    except BadCbor as error:
        raise bad_argument(f"invalid aux_data: {error}") from None
    if not isinstance(value, list) or [type(part) for part in value] != [int, int]:
        raise bad_argument("invalid aux_data: expected a deadline and a partition")
    return value[0], value[1]


def nominal_expiration(call: Call) -> bytes:
    """Handle GetNominalSectorExpiration.  Raises ActorError 17."""
    number = call.read(GetNominalSectorExpirationParams).sector_number
    sector = _reader(call).sector(number)
    if sector is None:
        raise not_found(f"sector {number} not found")
    return to_cbor(GetNominalSectorExpirationReturn(sector.expiration))


METHODS: Final[dict[int, Callable[[Call], bytes]]] = {
    Method.GET_OWNER_EXPORTED: owner,
    Method.IS_CONTROLLING_ADDRESS_EXPORTED: is_controlling,
    Method.GET_SECTOR_SIZE_EXPORTED: sector_size,
    Method.GET_AVAILABLE_BALANCE_EXPORTED: available_balance,
    Method.INITIAL_PLEDGE_EXPORTED: initial_pledge,
    Method.GET_VESTING_FUNDS_EXPORTED: vesting_funds,
    Method.GET_PEER_ID_EXPORTED: peer,
    Method.GET_MULTIADDRS_EXPORTED: multiaddrs,
    Method.MAX_TERMINATION_FEE_EXPORTED: max_termination_fee,
    Method.GENERATE_SECTOR_LOCATION_EXPORTED: sector_location,
    Method.VALIDATE_SECTOR_STATUS_EXPORTED: sector_status,
    Method.GET_NOMINAL_SECTOR_EXPIRATION_EXPORTED: nominal_expiration,
}
"""Handlers by method number."""
