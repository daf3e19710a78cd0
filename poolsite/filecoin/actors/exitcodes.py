"""Exit codes of messages and what they mean.

Source: go-state-types exitcode/{common,reserved,names}.go; builtin-actors ExitCode constants in
actors/{miner,power,market,evm}/src/lib.rs.
"""

from __future__ import annotations

import enum
from typing import Final


class ExitCode(enum.IntEnum):
    """How executing a message ended: below 16 decided by the system, below 32 common to actors.

    SYS_ERR_SENDER_INVALID and SYS_ERR_SENDER_STATE_INVALID are found before execution: the sender pays no
    gas, and the miner that included the message pays the base fee for its gas limit as a penalty.  Behind any
    other code gas is paid as for success.  Source: ref-fvm fvm/src/executor/default.rs preflight_message.
    """

    OK = 0
    """Executed; the return value counts, and state changes stay."""
    SYS_ERR_SENDER_INVALID = 1
    """The sender does not exist, or is no account."""
    SYS_ERR_SENDER_STATE_INVALID = 2
    """The nonce is not the sender's next, or its balance is below gas limit times fee cap."""
    SYS_ERR_RESERVED_3 = 3
    """Not used today; SysErrInvalidMethod of old actors."""
    SYS_ERR_ILLEGAL_INSTRUCTION = 4
    """The receiver's code trapped."""
    SYS_ERR_INVALID_RECEIVER = 5
    """The receiver does not exist, and no account can be made of its address."""
    SYS_ERR_INSUFFICIENT_FUNDS = 6
    """The value sent is above the sender's balance, in the message or in a call within it."""
    SYS_ERR_OUT_OF_GAS = 7
    """The gas limit was reached, calls within the message included."""
    SYS_ERR_RESERVED_8 = 8
    """Not used today; SysErrForbidden of old actors."""
    SYS_ERR_ILLEGAL_EXIT_CODE = 9
    """An actor ended with a code that is the system's."""
    SYS_ERR_FATAL = 10
    """A fault of the node or the system, never of the message."""
    SYS_ERR_MISSING_RETURN = 11
    """An actor named a block of return data that does not exist."""
    ERR_ILLEGAL_ARGUMENT = 16
    """A parameter is invalid."""
    ERR_NOT_FOUND = 17
    """What a parameter names does not exist."""
    ERR_FORBIDDEN = 18
    """The caller may not, or not now."""
    ERR_INSUFFICIENT_FUNDS = 19
    """A balance within the actor does not cover it, such as collateral or pledge."""
    ERR_ILLEGAL_STATE = 20
    """The actor found its own state inconsistent."""
    ERR_SERIALIZATION = 21
    """Parameters or state could not be encoded or decoded."""
    ERR_UNHANDLED_MESSAGE = 22
    """The actor has no method of this number."""
    ERR_UNSPECIFIED = 23
    """The actor gave no reason."""
    ERR_ASSERTION_FAILED = 24
    """An assertion of the actor did not hold."""
    ERR_READ_ONLY = 25
    """A change within a read-only call."""
    ERR_NOT_PAYABLE = 26
    """Value sent to a method that takes none."""


FIRST_ACTOR_CODE: Final = 32
"""Codes from here on have a meaning of each actor's own."""

MEANINGS: Final = {
    0: "success",
    1: "the sender is not an account",
    2: "the sender cannot send this: wrong nonce, or its balance does not cover the gas",
    4: "the actor executed an illegal instruction",
    5: "the receiver does not exist and cannot be created",
    6: "the sender's balance does not cover the value",
    7: "the gas limit was too low",
    9: "the actor returned an exit code that is reserved for the system",
    10: "the node could not execute the message",
    11: "the actor announced a return value but did not provide it",
    16: "a parameter is invalid",
    17: "something that the call refers to does not exist",
    18: "not allowed for this caller or at this time",
    19: "the actor's balance is too low",
    20: "the actor's state is inconsistent",
    21: "parameters or state could not be decoded",
    22: "the actor has no such method",
    23: "the actor failed without giving a reason",
    24: "the actor detected an internal error",
    25: "a read-only call tried to write",
    26: "the method does not accept funds",
}
"""What a code means, as text for a page; the system's and the common ones."""
ACTOR_CODES: Final = {
    ("miner", 1000): "the balance invariants are broken",
    ("miner", 1001): "an actor could not be notified of a piece",
    ("miner", 1002): "an actor that was notified of a piece failed",
    ("miner", 1003): "an actor that was notified of a piece returned a malformed response",
    ("miner", 1004): "an actor that was notified of a piece rejected it",
    ("power", 32): "too many proofs were submitted",
    ("market", 32): "the deal has expired",
    ("market", 33): "the deal is not activated",
    ("paych", 32): "the channel has settled: its state can no longer be updated",
    ("evm", 33): "the contract reverted",
    ("evm", 34): "the contract executed an invalid instruction",
    ("evm", 35): "the contract executed an undefined instruction",
    ("evm", 36): "the contract's stack underflowed",
    ("evm", 37): "the contract's stack overflowed",
    ("evm", 38): "the contract accessed illegal memory",
    ("evm", 39): "the contract jumped to an invalid destination",
    ("evm", 40): "the contract's self-destruct failed",
}
"""What the codes of each actor's own mean, by kind of the receiver and code."""


def exit_code_name(code: int) -> str:
    """Return Go's form of a code: `SysErrOutOfGas(7)`, `ErrIllegalArgument(16)`, `Ok(0)`, else the number."""
    try:
        name = ExitCode(code).name
    except ValueError:
        return str(code)
    return "".join(word.capitalize() for word in name.split("_")) + f"({code})"


def exit_code_text(code: int, *, actor: str = "") -> str:
    """Return what a code means, as text for a page; `actor` is the kind of the receiver."""
    if code >= FIRST_ACTOR_CODE:
        return ACTOR_CODES.get((actor, code), f"the actor failed with its own code {code}")
    return MEANINGS.get(code, f"unknown code {code}")
