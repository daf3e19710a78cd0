"""Requests to remote providers from plain threads: Celery tasks and views; event loops use `HubNode`."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from apps.core import clock
from apps.core.errors import DomainError
from apps.core.redis_clients import redis_client
from apps.gateway.errors import NoAnswer, NoProvider, ProviderRefused
from apps.gateway.routes import (
    AWAY,
    BEAT_S,
    BOX_S,
    PATIENCE_S,
    box_name,
    holders_alive,
    process_name,
)
from apps.gateway.selectors import is_expected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.gateway.routes import Holder

HEDGE_S = 1.0
"""Before a second connection is asked; nineteen of twenty signatures take a hundredth of it."""
READ_MAX = 100
"""Answers taken at once."""
PAUSE_S = 0.1
"""Between two looks for a connection that is expected back."""


@dataclass(frozen=True, slots=True)
class HubRequest:
    """What to ask whom."""

    route: str
    accounts: tuple[str, ...] | None
    """The answer must come from a connection that serves one of them; None: from any."""
    method: str
    payload: Any
    is_repeatable: bool = False
    """May be asked of a second connection when the first is slow."""


def requests_send(questions: Sequence[HubRequest], *, timeout_s: float) -> list[Any | DomainError]:
    """Ask everything at once; each question gets its answer, or ProviderRefused, NoProvider, NoAnswer.

    A lost connection fails over to another that holds the key, or to the same once it is back.
    """
    asking = RequestBatch(timeout_s)
    answers: dict[int, Any] = {}
    open_ = dict(enumerate(questions))
    failures: dict[int, DomainError] = {}
    while open_:
        answers.update(asking.round(open_, failures))
        open_ = {key: question for key, question in open_.items() if key not in answers}
        for key in [key for key, question in open_.items() if not asking.may_wait(question)]:
            answers[key] = failures.get(key) or NoProvider(AWAY)
            del open_[key]
        if open_:
            time.sleep(PAUSE_S)
    return [answers[key] for key in range(len(questions))]


class RequestBatch:
    """One caller's questions, with a list of its own for the answers."""

    def __init__(self, timeout_s: float) -> None:
        self.client = redis_client()
        self.box = f"hub:reply:{uuid.uuid4().hex}"
        self.start = time.time()
        self.deadline = self.start + timeout_s
        self.patience_until = self.start + min(PATIENCE_S, timeout_s)
        self.ends = time.monotonic() + timeout_s
        """As `deadline`, for ourselves: a clock that is set back must not prolong the wait."""
        self.read: deque[Any] = deque()
        """Answers that came together with one before."""
        self.hedged: set[int] = set()
        """Questions that a second connection was asked."""

    def may_wait(self, question: HubRequest) -> bool:
        """Tell whether a provider of this key is worth waiting for."""
        is_early = time.time() < self.patience_until and time.monotonic() < self.ends
        return is_early and is_expected(question.route, now=clock.now())

    def round(self, questions: dict[int, HubRequest], failures: dict[int, DomainError]) -> dict[int, Any]:
        """Send each question to one connection and collect; what got no answer is noted in `failures`."""
        try:
            return self.exchange(questions, failures)
        except RedisError:
            failures.update(dict.fromkeys(questions, NoAnswer("Redis is away")))
            return {}

    def exchange(self, questions: dict[int, HubRequest], failures: dict[int, DomainError]) -> dict[int, Any]:
        """Post each to one connection that holds the key, then collect."""
        sent: dict[str, tuple[int, Holder]] = {}
        alive: dict[tuple[str, tuple[str, ...] | None], list[Holder]] = {}
        boxes: dict[str, list[str]] = defaultdict(list)
        for key, question in questions.items():
            place = (question.route, question.accounts)  # a round asks one signer a hundred times
            if place not in alive:
                alive[place] = holders_alive(*place)
            if not alive[place]:
                continue
            holder = random.choice(alive[place])  # noqa: S311  # spreads load, keeps no secret
            item_id = uuid.uuid4().hex
            sent[item_id] = (key, holder)
            boxes[box_name(holder.process)].append(self.item(item_id, holder, question))
        with self.client.pipeline(transaction=False) as pipe:
            for box, items in boxes.items():
                pipe.lpush(box, *items)
                pipe.expire(box, BOX_S)
            pipe.execute()
        return self.collect(sent, questions, failures)

    def one(self, holder: Holder, question: HubRequest) -> Any:
        """Send a question to this connection and to no other.  Raises ProviderRefused, NoAnswer."""
        item_id, failures = uuid.uuid4().hex, dict[int, DomainError]()
        try:
            self.client.lpush(box_name(holder.process), self.item(item_id, holder, question))
            answers = self.collect({item_id: (0, holder)}, {0: question}, failures)
        except RedisError:
            raise NoAnswer("Redis is away") from None
        answer = answers[0] if 0 in answers else failures[0]
        if isinstance(answer, DomainError):
            raise answer
        return answer

    def collect(
        self,
        sent: dict[str, tuple[int, Holder]],
        questions: dict[int, HubRequest],
        failures: dict[int, DomainError],
    ) -> dict[int, Any]:
        """Read answers until all are there, their processes died, or time is up."""
        answers: dict[int, Any] = {}
        hedge_at = time.time() + HEDGE_S
        while sent and time.time() < self.deadline and time.monotonic() < self.ends:
            if time.time() >= hedge_at:
                self.hedge(sent, questions)
            reply = self.next_reply(sent)
            if reply is None:
                self.drop_dead(sent, failures)
                continue
            key, _ = sent.pop(reply["id"])
            if reply["gone"]:
                failures[key] = NoAnswer(f"all request failed: {questions[key].method} {reply['error']}")
                continue
            answers[key] = ProviderRefused(reply["error"]) if reply["error"] else reply["result"]
            for other in [item for item, (asked, _) in sent.items() if asked == key]:
                del sent[other]  # the second connection's answer finds nobody
        for key, _holder in sent.values():
            failures[key] = NoAnswer(f"all request failed: {questions[key].method} no answer in time")
        return answers

    def hedge(self, sent: dict[str, tuple[int, Holder]], questions: dict[int, HubRequest]) -> None:
        """Ask a second connection what may be asked twice and was not answered yet."""
        for key, holder in [one for one in sent.values() if one[0] not in self.hedged]:
            question = questions[key]
            if not question.is_repeatable:
                continue
            self.hedged.add(key)
            held = holders_alive(question.route, question.accounts)
            others = [one for one in held if one.connection != holder.connection]
            if not others:
                continue
            other, item_id = random.choice(others), uuid.uuid4().hex  # noqa: S311  # as in `exchange`
            sent[item_id] = (key, other)
            self.client.lpush(box_name(other.process), self.item(item_id, other, question))

    def item(self, item_id: str, holder: Holder, question: HubRequest) -> str:
        """Write a question as it travels."""
        return json.dumps(
            {
                "id": item_id,
                "to": self.box,
                "connection": holder.connection,
                "method": question.method,
                "payload": question.payload,
                "deadline": self.deadline,
            }
        )

    def next_reply(self, sent: dict[str, tuple[int, Holder]]) -> Any | None:
        """Wait up to a beat for one answer to a question of this round."""
        if not self.read:
            popped: Any = self.client.brpop([self.box], timeout=BEAT_S)
            if popped is None:
                return None
            more: Any = self.client.rpop(self.box, READ_MAX) or ()
            self.read.extend(json.loads(text) for text in (popped[1], *more))
        reply = self.read.popleft()
        return reply if reply["id"] in sent else None  # late answers of an earlier round are dropped

    def drop_dead(self, sent: dict[str, tuple[int, Holder]], failures: dict[int, DomainError]) -> None:
        """Stop waiting for processes that no longer live."""
        for item_id, (key, holder) in list(sent.items()):
            if not self.client.exists(process_name(holder.process)):
                failures[key] = NoAnswer("channel closed")
                del sent[item_id]
