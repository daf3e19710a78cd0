"""Ethereum transactions as RLP: what they hold, how they are read and written.

    EIP-1559    0x02, [chain id, nonce, premium, fee cap, gas limit, to, value, data, [], V, R, S]
    legacy      [nonce, gas price, gas limit, to, value, data, V, R, S]

The first byte tells them apart: a list begins at 0xc0.

Source: lotus chain/types/ethtypes/eth_1559_transactions.go, eth_legacy_155_transactions.go,
eth_legacy_homestead_transactions.go, whose refusals these are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.address import ETH_ADDRESS_LEN
from poolsite.filecoin.keccak import keccak256
from poolsite.filecoin.rlp import BadRlp, RlpItem, rlp_decode, rlp_encode
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.sigtypes import SIG_DELEGATED

LEGACY: Final = 0
"""Type of a transaction from before EIP-2718, which has no envelope."""
EIP1559: Final = 2
"""Type of a transaction with fee cap and premium, and the first byte of its envelope."""
FIRST_LIST_BYTE: Final = 0x80
"""Envelopes that begin so or higher are legacy transactions: a list without a type."""
HOMESTEAD_MARK: Final = b"\x01"
"""First byte of the signature, in its message, of a legacy transaction that names no network."""
EIP155_MARK: Final = b"\x02"
"""The same of one that names its network."""
HOMESTEAD_V: Final = (27, 28)
"""V of a legacy transaction that names no network."""
EIP155_V: Final = 35
"""V of a legacy transaction for network N is 35 + 2 N, or one more."""
MAX_INT_BYTES: Final = 8
"""Longest integer of a transaction that is no amount, in bytes."""

FIELDS_1559: Final = 12
"""Members of the RLP list of an EIP-1559 transaction, signature included."""
FIELDS_LEGACY: Final = 9
"""Members of the RLP list of a legacy transaction, signature included."""


class BadTransaction(ValueError):
    """Bytes or a message that no Ethereum transaction can stand for."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One Ethereum transaction."""

    type: int
    """0 legacy, 2 EIP-1559."""
    chain_id: int
    """The network it names; 0 for a legacy transaction that names none."""
    nonce: int
    """Number of messages that the sender sent before."""
    premium: int
    """attoFIL per gas for the miner; the gas price of a legacy transaction."""
    fee_cap: int
    """Most attoFIL per gas; the gas price of a legacy transaction."""
    gas_limit: int
    """Most units of gas; the message's gas limit."""
    to: bytes
    """20 bytes; none for a deployment."""
    value: int
    """attoFIL to the receiver."""
    data: bytes
    """Call data."""
    v: int = 0
    """Which of two keys signed: 0 or 1; in a legacy transaction one of HOMESTEAD_V, or EIP155_V + 2 N and
    that bit for network N."""
    r: int = 0
    """First half of the signature, below CURVE_ORDER; 0 while unsigned."""
    s: int = 0
    """Second half, likewise."""

    @property
    def unsigned_bytes(self) -> bytes:
        """Return the bytes of which the sender signs the keccak-256.

        A legacy transaction that names a network is signed with [network, 0, 0] in the place of its
        signature, so that it fits no other network (EIP-155).
        """
        if self.type == EIP1559:
            return bytes((EIP1559,)) + rlp_encode(self._fields())
        network = [self.chain_id, 0, 0] if self.chain_id else []
        return rlp_encode([*self._fields(), *network])

    @property
    def signed_bytes(self) -> bytes:
        """Return the transaction as Ethereum nodes gossip it."""
        head = bytes((EIP1559,)) if self.type == EIP1559 else b""
        return head + rlp_encode([*self._fields(), self.v, self.r, self.s])

    @property
    def hash(self) -> bytes:
        """Return the hash by which Ethereum tools know it."""
        return keccak256(self.signed_bytes)

    @property
    def recoverable(self) -> bytes:
        """Return R, S and the bit that tells which of two keys signed."""
        parity = self.v if self.type == EIP1559 else self.v - self._least_v
        return _word(self.r) + _word(self.s) + bytes((parity,))

    @property
    def signature(self) -> Signature:
        """Return the signature as the message carries it.  Raises BadTransaction."""
        body = _word(self.r) + _word(self.s)
        if self.type == EIP1559:
            data = body + bytes((self.v,))
        else:
            mark = EIP155_MARK if self.chain_id else HOMESTEAD_MARK
            data = mark + body + int_bytes(self.v)
        return Signature(SIG_DELEGATED, data)

    @property
    def _least_v(self) -> int:
        """Return the V of a legacy transaction whose parity bit is 0: 27, or 35 + 2 N for network N."""
        return EIP155_V + 2 * self.chain_id if self.chain_id else HOMESTEAD_V[0]

    def _fields(self) -> list[object]:
        """Return the members before the signature, in RLP order.

        In EIP-1559 the last is the access list, always empty here: the chain has no use for it.
        """
        common: list[object] = [self.gas_limit, self.to, self.value, self.data]
        if self.type == EIP1559:
            return [self.chain_id, self.nonce, self.premium, self.fee_cap, *common, []]
        return [self.nonce, self.fee_cap, *common]


def transaction_parse(raw: bytes, *, chain_id: int) -> Transaction:
    """Read a signed transaction for a network.  Raises BadTransaction with lotus' text."""
    if not raw:
        raise BadTransaction("empty data")
    if raw[0] == 1:
        raise BadTransaction("EIP-2930 transaction is not supported")
    if raw[0] == EIP1559:
        try:
            return _parse_1559(raw)
        except BadRlp as error:
            raise BadTransaction(str(error)) from None
    if raw[0] < FIRST_LIST_BYTE:
        raise BadTransaction("unsupported transaction type")
    try:
        return _parse_legacy(raw, chain_id)
    except (BadRlp, BadTransaction) as error:
        raise BadTransaction(f"failed to parse legacy transaction: {error}") from None


def _parse_1559(raw: bytes) -> Transaction:
    """Return a transaction of type 2 (EIP-1559).  Raises BadTransaction, BadRlp."""
    items = rlp_decode(raw[1:])
    if not isinstance(items, list):
        raise BadTransaction("not an EIP-1559 transaction: decoded data is not a list")
    if len(items) != FIELDS_1559:
        raise BadTransaction("not an EIP-1559 transaction: should have 12 elements in the rlp list")
    network, nonce = _int(items[0]), _int(items[1])
    premium, cap = _big(items[2]), _big(items[3])
    limit, to, value = _int(items[4]), _receiver_bytes(items[5]), _big(items[6])
    data = _bytes(items[7])
    if items[8] != []:
        raise BadTransaction("access list should be an empty list")
    r, s, v = _big(items[10]), _big(items[11]), _big(items[9])
    if v not in (0, 1):
        raise BadTransaction("EIP-1559 transactions only support 0 or 1 for v")
    return Transaction(EIP1559, network, nonce, premium, cap, limit, to, value, data, v, r, s)


def _parse_legacy(raw: bytes, chain_id: int) -> Transaction:
    """Return a transaction without a type; V names its network, or none.  Raises BadTransaction, BadRlp."""
    items = rlp_decode(raw)
    if not isinstance(items, list):
        raise BadTransaction("not a Legacy transaction: decoded data is not a list")
    if len(items) != FIELDS_LEGACY:
        raise BadTransaction("not a Legacy transaction: should have 9 elements in the rlp list")
    nonce, price, limit = _int(items[0]), _big(items[1]), _int(items[2])
    to, value = _receiver_bytes(items[3]), _big(items[4])
    if not isinstance(items[5], bytes):
        raise BadTransaction("input is not a byte slice")
    v, r, s = _big(items[6]), _big(items[7]), _big(items[8])
    network = 0 if v in HOMESTEAD_V else chain_id
    if network:
        network_check(v, chain_id)
    return Transaction(LEGACY, network, nonce, price, price, limit, to, value, items[5], v, r, s)


def network_check(v: int, chain_id: int) -> None:
    """Raise BadTransaction unless V names the network."""
    # Go subtracts in 64 bits where V fits them.
    named = ((v - EIP155_V) % (1 << 64) if v < 1 << 64 else v - EIP155_V) // 2
    if named != chain_id:
        raise BadTransaction(
            f"failed to validate EIP155 chain id: invalid chain id, expected {chain_id}, got {named}"
        )


def _bytes(item: RlpItem) -> bytes:
    """Return a byte string.  Raises BadTransaction for a list."""
    if not isinstance(item, bytes):
        raise BadTransaction("cannot parse interface into bytes: input is not a byte array")
    return item


def _int(item: RlpItem) -> int:
    """Return an integer that Go keeps in an int64.  Raises BadTransaction."""
    if not isinstance(item, bytes):
        raise BadTransaction("cannot parse interface to int: input is not a byte array")
    if len(item) > MAX_INT_BYTES:
        raise BadTransaction("cannot parse interface to int: length is more than 8 bytes")
    number = int.from_bytes(item, "big")
    if number >= 1 << 63:
        raise BadTransaction(f"cannot parse interface to int: {number} is too large")
    return number


def _big(item: RlpItem) -> int:
    """Return an integer of any size.  Raises BadTransaction."""
    if not isinstance(item, bytes):
        raise BadTransaction("cannot parse interface to big.Int: input is not a byte array")
    return int.from_bytes(item, "big")


def _receiver_bytes(item: RlpItem) -> bytes:
    """Return the 20 bytes of the receiver, none for a deployment.  Raises BadTransaction."""
    name = _bytes(item)
    if name and len(name) != ETH_ADDRESS_LEN:
        raise BadTransaction("cannot parse bytes into an EthAddress: incorrect input length")
    return name


def int_bytes(number: int) -> bytes:
    """Return an integer as RLP has it: big-endian without leading zeros, 0 as no bytes."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _word(number: int) -> bytes:
    """Return a number in 32 bytes.  Raises BadTransaction."""
    if number >= 1 << 256:
        raise BadTransaction("failed to get signature: signature is not 65 bytes")
    return number.to_bytes(32, "big")
