"""Calls over all nodes of the pool: the first that answers wins; one that fails is followed by the next.

Every call is safe to repeat, so a node that is away, too slow (`call_timeouts`), answers what nobody can
read, or lacks the method, a right to it or an object that it needs is simply followed by the next one within
the same call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Self, TypeVar

import msgspec
from django.utils.translation import gettext_noop

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.call_timeouts import CallTimeouts, call_timeouts, requests_split
from apps.chain.node.calls import Call
from apps.chain.node.link import NodeLink
from apps.core.marked_texts import gettext

T = TypeVar("T")
UNREADABLE: Final = (KeyError, TypeError, IndexError, ValueError, AttributeError)
"""What reading an answer of another form raises."""
NO_NODE: Final = gettext_noop("the pool has no readable node: set CHAIN_URLS or add one")


class FailoverCalls:
    """Links to the pool's nodes; the first that answers wins."""

    def __init__(
        self, links: Sequence[NodeLink], *, limit_s: float | None = None, within_s: float | None = None
    ) -> None:
        self.links = tuple(links)
        self.limit_s = limit_s
        """Time for every single try, instead of the method's own."""
        self.within_s = within_s
        """Longest time without an answer, from now on; a node that answers may be asked more and more."""
        self._ends_at = None if within_s is None else time.monotonic() + within_s
        self._ahead: dict[bytes, Any] = {}
        """Answers that `read_ahead` has fetched, by their calls."""

    def read_ahead(self, calls: Sequence[Call]) -> None:
        """Fetch answers that `ask` and `call_many` return from then on without asking again.

        Only for what never changes, such as the state at a key of a tipset, and for a client that lasts as
        long as one piece of work.  Refusals are not kept.  Raises NodeUnavailable.
        """
        wanted = {key: call for call in calls if (key := _key(*call)) not in self._ahead}
        for key, answer in zip(wanted, self._fetch(list(wanted.values())), strict=True):
            if not isinstance(answer, NodeRefused):
                self._ahead[key] = answer

    def call(self, method: str, *params: Any, timeout_s: float | None = None) -> Any:
        """Call `Filecoin.<method>` on the best node that answers.

        Raises NodeRefused with that node's words, NodeUnavailable if no node answers.
        """
        return self.ask(_as_it_is, method, *params, timeout_s=timeout_s)

    def ask(
        self,
        read: Callable[[Any], T],
        method: str,
        *params: Any,
        timeout_s: float | None = None,
        is_unable: Callable[[NodeRefused], bool] | None = None,
    ) -> T:
        """Call and read the answer; a node whose answer cannot be read counts as one that did not answer.

        `is_unable`: which refusals say nothing about other nodes, beside those of what a node lacks.
        """
        if self._ahead and (key := _key(method, params)) in self._ahead:
            try:
                return read(self._ahead[key])
            except (NodeRefused, *UNREADABLE):
                self._ahead.pop(key, None)  # another node may answer what can be read
        failure: NodeUnavailable | None = None
        refused: NodeRefused | None = None
        links = self._in_order()
        for left, link in zip(range(len(links) - 1, -1, -1), links, strict=True):
            limit_s = timeout_s or self.limit_s or call_timeouts(method).limit_s(has_other=left > 0)
            try:
                answer = link.call(method, params, timeout_s=self._within(limit_s, others=left))
            except NodeUnavailable as error:
                failure = error
                continue
            except NodeRefused as refusal:
                self._answered()
                if not _is_lacking(refusal) and not (is_unable and is_unable(refusal)):
                    raise
                refused = refusal
                continue
            self._answered()
            try:
                return read(answer)
            except (NodeRefused, *UNREADABLE) as error:
                failure = link.failed(
                    gettext("the response to {method} could not be parsed: {error!r}").format(
                        method=method, error=error
                    )[:300]
                )
        raise refused or failure or NodeUnavailable(gettext(NO_NODE))

    def call_many(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Send many calls in as few requests as their methods allow; a refused one stands as its NodeRefused.

        Raises NodeUnavailable if no node answers one of the requests.
        """
        if not self._ahead:
            return self._fetch(calls)
        keys = [_key(*call) for call in calls]
        found = {key: self._ahead[key] for key in keys if key in self._ahead}
        missing = {key: call for key, call in zip(keys, calls, strict=True) if key not in found}
        found.update(zip(missing, self._fetch(list(missing.values())), strict=True))
        return [found[key] for key in keys]

    def _fetch(self, calls: Sequence[Call]) -> list[Any]:
        return [
            answer for request, timeouts in requests_split(calls) for answer in self._send(request, timeouts)
        ]

    def _send(self, calls: Sequence[tuple[str, Sequence[Any]]], timeouts: CallTimeouts) -> list[Any]:
        """Send one request, and what a node lacks something for to the next; the first refusal stands.

        Raises NodeUnavailable if no node answers.
        """
        failure: NodeUnavailable | None = None
        answers: dict[int, Any] = {}
        unsettled = list(range(len(calls)))
        links = self._in_order()
        for left, link in zip(range(len(links) - 1, -1, -1), links, strict=True):
            limit_s = self.limit_s or timeouts.limit_s(has_other=left > 0)
            try:
                part = [calls[at] for at in unsettled]
                found = link.call_many(part, timeout_s=self._within(limit_s, others=left))
            except NodeUnavailable as error:
                failure = error
                continue
            self._answered()
            for at, answer in zip(unsettled, found, strict=True):
                if at not in answers or not _is_lacking(answer):
                    answers[at] = answer
            unsettled = [at for at in unsettled if _is_lacking(answers[at])]
            if not unsettled:
                break
        if not answers:
            raise failure or NodeUnavailable(gettext(NO_NODE))
        return [answers[at] for at in range(len(calls))]

    def nodes(self) -> list[Self]:
        """Return a client of each node alone, the best first."""
        return [type(self)([link], limit_s=self.limit_s, within_s=self.within_s) for link in self._in_order()]

    def _answered(self) -> None:
        if self.within_s is not None:
            self._ends_at = time.monotonic() + self.within_s

    def _within(self, limit_s: float, *, others: int) -> float:
        """Return the time for one try: half of what is left where other nodes can be asked after this one.

        Raises NodeUnavailable where nothing is left.
        """
        if self._ends_at is None:
            return limit_s
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise NodeUnavailable(
                gettext("no response within {longest_s:g} s").format(longest_s=self.within_s)
            )
        return min(limit_s, left_s / 2 if others else left_s)

    def knows(self, method: str) -> bool:
        """Return whether the node that answers next is not yet known to lack `method`."""
        return all(method not in link.unknown_methods for link in self._in_order()[:1])

    def _in_order(self) -> list[NodeLink]:
        moment = time.monotonic()
        return sorted(self.links, key=lambda link: link.tired_until > moment)


def _is_lacking(answer: Any) -> bool:
    """Return whether a node only lacks the method, an object that it needs, or a token of ours that is good
    for it: another one may have it.
    """
    return isinstance(answer, NodeRefused) and (
        answer.is_unknown_method or answer.is_missing_object or answer.is_not_permitted
    )


def _key(method: str, params: Sequence[Any]) -> bytes:
    return msgspec.json.encode((method, params))


def _as_it_is(value: Any) -> Any:
    return value
