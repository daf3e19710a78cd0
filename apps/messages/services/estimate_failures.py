"""What a node says of a message that would fail, and failing those that an actor refuses again and again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from apps.core.reasons import COLON, Reason, as_reason, quoted
from apps.messages.models import Message
from apps.messages.reasons import EXIT_CODE, GIVEN_UP
from apps.messages.rules.causes import FIRST_FINAL_CODE
from apps.messages.services.bulk_transitions import message_changes_publish, messages_advance
from apps.messages.states import PRESSING, Wait
from poolsite.filecoin.actors.exitcodes import exit_code_text

ATTEMPTS_MAX: Final = 8
"""Attempts with such a refusal, some 120 epochs: no fork is as long, so the chain's state makes it so."""

PRESSING_ATTEMPTS_MAX: Final = 60
"""For what is tried on each head: as long as a deadline is open, after which no proof for it counts."""

OUTSIDE_KINDS: Final = ("", "create_miner")
"""Purposes whose messages no app of the pool retries: sealing and proving judge their own."""

CODE: Final = re.compile(
    r"(?:exit=\[|exit )(?P<name>\w*)\((?P<code>\d+)\)"
    r"|message execution failed: exit code: (?P<number>\d+), reason: "  # forest, src/rpc/methods/gas.rs
)

FRAME: Final = re.compile(r"\d\d: \S+ \(method \d+\) -- (?P<text>.*?) \(\d+\)\s*$", re.MULTILINE)

CAUSE: Final = re.compile(r"--> caused by: (?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed estimate."""

    code: int
    """Exit code; 0 if the node names none."""
    text: Reason | str
    """One line, without the virtual machine's backtrace."""

    @property
    def is_final(self) -> bool:
        """Return whether an actor refuses the message, which only another state of the chain changes."""
        return self.code >= FIRST_FINAL_CODE


def failure_read(error: str) -> Failure:
    """Read what a node says of a message that would fail."""
    found = CODE.search(error)
    if found is None:
        return Failure(0, quoted(" ".join(error.split()), by="node"))
    code = int(found["code"] or found["number"])
    frames = [frame["text"] for frame in FRAME.finditer(error)]
    causes = [cause["text"].strip() for cause in CAUSE.finditer(error)]
    cause = (causes or frames or [""])[-1]
    text = EXIT_CODE(name=found["name"] or "exit code", code=code, meaning=as_reason(exit_code_text(code)))
    return Failure(code, COLON(one=text, other=quoted(cause, by="actor")) if cause else text)


def refusals_fail(rows: Sequence[Message], *, reasons: dict[str, Reason | str], now: datetime) -> None:
    """Mark those as failed that an actor has refused often enough; `reasons` are their last ones by id."""
    ended = {
        row.pk: {
            "wait": str(Wait.NONE),
            "attempts": 0,  # a later retry starts over
            "retry_height": 0,
            "error": GIVEN_UP(attempts=row.attempts + 1, reason=as_reason(reasons[row.pk])),
        }
        for row in rows
        if row.kind in OUTSIDE_KINDS
        and row.attempts + 1 >= (PRESSING_ATTEMPTS_MAX if row.priority in PRESSING else ATTEMPTS_MAX)
    }
    with transaction.atomic():
        message_changes_publish(messages_advance("REFUSE", rows=ended, now=now))
