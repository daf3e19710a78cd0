"""The refusal of a call: an exit code and the real actor's text.

Source: builtin-actors runtime ActorError.
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
SENDER_INVALID: Final = 1
SENDER_STATE_INVALID: Final = 2
INVALID_RECEIVER: Final = 5
SYS_INSUFFICIENT_FUNDS: Final = 6
OUT_OF_GAS: Final = 7
ILLEGAL_ARGUMENT: Final = 16
NOT_FOUND: Final = 17
FORBIDDEN: Final = 18
INSUFFICIENT_FUNDS: Final = 19
ILLEGAL_STATE: Final = 20
SERIALIZATION: Final = 21
UNHANDLED: Final = 22


class ActorError(Exception):
    """A handler refuses its call: everything it did is undone, the gas is paid."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def bad_argument(text: str) -> ActorError:
    """16 IllegalArgument."""
    return ActorError(ILLEGAL_ARGUMENT, text)


def forbidden(text: str) -> ActorError:
    """18 Forbidden."""
    return ActorError(FORBIDDEN, text)


def not_found(text: str) -> ActorError:
    """17 NotFound."""
    return ActorError(NOT_FOUND, text)


def insufficient(text: str) -> ActorError:
    """19 InsufficientFunds."""
    return ActorError(INSUFFICIENT_FUNDS, text)


def illegal_state(text: str) -> ActorError:
    """20 IllegalState."""
    return ActorError(ILLEGAL_STATE, text)
