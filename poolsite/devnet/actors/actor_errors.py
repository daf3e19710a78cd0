"""The refusal of a call: an exit code and the real actor's text.

Source: builtin-actors runtime ActorError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from poolsite.filecoin.bitfield import BitField

OK: Final = 0
SENDER_INVALID: Final = 1
SENDER_STATE_INVALID: Final = 2
ILLEGAL_INSTRUCTION: Final = 4
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


FIRST_ACTOR_CODE: Final = 16
"""Lower codes are the machine's own."""


class ActorError(Exception):
    """A handler refuses its call: everything it did is undone, the gas is paid."""

    def __init__(self, code: int, text: str, *, frames: tuple[tuple[int, int, str], ...] = ()) -> None:
        """`frames`: (actor id, method, text) of the calls inside the outermost one, for the backtrace."""
        super().__init__(text)
        self.code = code
        self.text = text
        self.frames = frames

    def backtrace(self, receiver: int, method: int) -> str:
        """Return the machine's text for a message that failed so."""
        if self.code < FIRST_ACTOR_CODE:
            lines = [f"--> caused by: send::send -- {self.text}"]
        else:
            frames = ((receiver, method, self.text), *self.frames)
            lines = [
                f"{at:02}: f0{actor} (method {number}) -- {text} ({self.code})"
                for at, (actor, number, text) in enumerate(frames)
            ]
        return "\n".join(("message failed with backtrace:", *lines, f" (RetCode={self.code})"))


def fil(amount: int) -> str:
    """Return an amount of FIL as the real actors print it: at least one decimal."""
    text = fil_format(amount, unit="")
    return text if "." in text else f"{text}.0"


def ranges(numbers: BitField) -> str:
    """Return a set as the real actors print it."""
    inside = ", ".join(f"{start}..{end}" for start, end in numbers.ranges)
    return f"BitField {{ ranges: [{inside}], set: {{}}, unset: {{}} }}"


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
