"""Leases by which miners take part in fast finality (F3) through a node, and the tickets that stand for them.

The devnet finalizes nothing by F3: an instance ends with each epoch, no votes are gathered.
Source: lotus chain/lf3/participation_lease.go; api F3ParticipationLease.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any, Final

from poolsite.filecoin.cbor import BadCbor, decode, encode

LEASABLE_MAX: Final = 5
"""Instances that one ticket may span.  Source: lotus chain/lf3/f3.go maxLeasableInstances."""


class F3Error(Exception):
    """A refusal, with lotus' code."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(text)


DISABLED: Final = 4, "f3 is disabled"
TICKET_INVALID: Final = 5, "ticket is not valid"
TICKET_EXPIRED: Final = 6, "ticket has expired"
ISSUER_MISMATCH: Final = 7, "issuer does not match current node"
TOO_MANY_INSTANCES: Final = 8, "requested instance count too high"
STARTS_BEFORE: Final = 9, "ticket starts before existing lease"
NOT_READY: Final = 10, "f3 isn't yet ready to participate"


@dataclass(frozen=True, slots=True)
class Lease:
    """A miner's right and duty to vote through one node."""

    network: str
    issuer: str
    miner: int
    from_instance: int
    term: int

    @property
    def to_instance(self) -> int:
        """The last instance of it."""
        return self.from_instance + self.term

    def remaining(self, instance: int) -> dict[str, Any]:
        """Return it as `F3Participate` answers it: counted from the instance that runs."""
        return {
            "Network": self.network,
            "Issuer": self.issuer,
            "MinerID": self.miner,
            "FromInstance": instance,
            "ValidityTerm": self.to_instance - instance,
        }


def ticket_of(lease: Lease) -> bytes:
    """Return the ticket of a lease: its own bytes in CBOR."""
    return encode(list(asdict(lease).values()))


def ticket_read(ticket: bytes) -> Lease:
    """Read a ticket.  Raises F3Error."""
    try:
        fields = decode(ticket)
    except BadCbor:
        raise F3Error(*TICKET_INVALID) from None
    kinds = (str, str, int, int, int)
    if not isinstance(fields, list) or [type(one) for one in fields] != list(kinds) or min(fields[2:]) < 0:
        raise F3Error(*TICKET_INVALID)
    return Lease(*fields)


class Participation:
    """What one node knows of who votes through it; gone when it ends, as in lotus."""

    def __init__(self, *, network: str, issuer: str) -> None:
        self.network = network
        self.issuer = issuer
        """The node's peer ID."""
        self._leases: dict[int, Lease] = {}
        self._lock = threading.Lock()

    def ticket(self, miner: int, previous: bytes, instances: int, *, instance: int) -> bytes:
        """Return a ticket from the instance that runs on.

        Raises F3Error: a previous one that is another node's is renewed once it has expired, not before.
        """
        if instances == 0:
            raise F3Error(1, "not enough instances")
        if instances > LEASABLE_MAX:
            raise F3Error(*TOO_MANY_INSTANCES)
        if previous:
            try:
                self._check(ticket_read(previous), instance)
            except F3Error as error:
                if error.code not in (TICKET_EXPIRED[0], TOO_MANY_INSTANCES[0]):
                    raise
        return ticket_of(Lease(self.network, self.issuer, miner, instance, instances))

    def participate(self, ticket: bytes, *, instance: int) -> Lease:
        """Begin or prolong what a ticket stands for.  Raises F3Error."""
        lease = self._check(ticket_read(ticket), instance)
        with self._lock:
            found = self._leases.get(lease.miner)
            is_same_network = found is not None and found.network == lease.network
            if found is not None and is_same_network and found.from_instance > lease.from_instance:
                raise F3Error(*STARTS_BEFORE)
            self._leases[lease.miner] = lease
        return lease

    def current(self, *, instance: int) -> list[Lease]:
        """Return the leases that have not run out, by miner; the others are forgotten."""
        with self._lock:
            self._leases = {
                miner: lease for miner, lease in self._leases.items() if instance <= lease.to_instance
            }
            return [lease for _, lease in sorted(self._leases.items())]

    def _check(self, lease: Lease, instance: int) -> Lease:
        if lease.network != self.network or instance > lease.to_instance:
            raise F3Error(*TICKET_EXPIRED)
        if lease.issuer != self.issuer:
            raise F3Error(*ISSUER_MISMATCH)
        if lease.term > LEASABLE_MAX:
            raise F3Error(*TOO_MANY_INSTANCES)
        return lease
