"""The steps of a head: which of them find work, and handing those to the queues.

A step whose work can be told by a cheap question is sent only when that question finds some; all questions
are one statement.  Every few epochs all steps are sent, whatever it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final

from celery import current_app
from django.conf import settings
from django.utils.module_loading import import_string

from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.prepared_statements import Prepared

EVERY_STEP_EPOCHS: Final = 10
"""So often every step is sent: a question that is too narrow is made good by that."""


def head_steps() -> Iterable[Any]:
    """Return the site's table; the apps may not import the site, so its name comes from the settings."""
    steps: Iterable[Any] = import_string(settings.HEAD_STEPS)
    return steps


def facts_read(*, height: int, key: str) -> Iterable[tuple[str, Callable[[], object]]]:
    """Yield the tasks that read what the chain says at each head, ready to be carried out in this process.

    Left out is what finds no work; the questions are asked when the tasks before have been carried out, at
    the head of that moment: one of a delayed task would be answered for an epoch that is over.
    """
    due: set[str] | None = None
    for fact in import_string(settings.HEAD_FACTS):
        if fact.due and due is None:
            before, head = height, head_current()
            if head is not None and head.height > height:
                height, key = head.height, head.key
            due = facts_due(height=height, since=before)
        if not fact.due or fact.task in (due or ()):
            task = current_app.tasks[fact.task]
            yield fact.task, partial(task, height=height, key=key)


def facts_due(*, height: int, since: int | None = None) -> set[str]:
    """Return the names of the facts with a question that find work at a head; now and then all of them.

    `since`: the height for which the questions were to be asked, if that is over.
    """
    facts = [fact for fact in import_string(settings.HEAD_FACTS) if fact.due]
    try:
        period = network_current().proving.period
    except NetworkUnknown:
        period = 0
    first = height if since is None else since
    if not period or height // EVERY_STEP_EPOCHS > (first - 1) // EVERY_STEP_EPOCHS:
        return {fact.task for fact in facts}
    [row] = _fact_questions().rows([height, clock.now(), period])
    return {fact.task for fact, is_due in zip(facts, row, strict=True) if is_due}


@cache
def _fact_questions() -> Prepared:
    """Return the statement whose columns say, in the table's order, which facts find work."""
    questions = [import_string(fact.due) for fact in import_string(settings.HEAD_FACTS) if fact.due]
    columns = ", ".join(f"EXISTS ({text})" for text in questions)
    # $1: height of the head; $2: now; $3: epochs of a proving period.
    return Prepared("head_facts_due", f"SELECT {columns}", ["bigint", "timestamptz", "bigint"])


@cache
def _questions() -> Prepared:
    """Return the statement whose columns say, in the table's order, which steps find work."""
    questions = [step.due and import_string(step.due) for step in head_steps()]
    columns = [f"EXISTS ({text})" if text else "true" for text in questions]
    # $1: height of the head; $2: now; $3: how many epochs a reorganisation may take back.
    return Prepared("head_steps_due", f"SELECT {', '.join(columns)}", ["bigint", "timestamptz", "bigint"])


def tasks_due(*, height: int, finality: int) -> set[str]:
    """Return the names of the steps that find work at a head."""
    [row] = _questions().rows([height, clock.now(), finality])
    return {step.task for step, is_due in zip(head_steps(), row, strict=True) if is_due}


@dataclass(frozen=True, slots=True)
class Steps:
    """Sends the tasks of `HEAD_STEPS` to Celery."""

    send: Callable[..., Any]
    """Celery's `send_task`."""
    waiting: Callable[[str], Collection[str]] = field(default=lambda _queue: ())
    """Names of the tasks that wait in a queue."""
    due: Callable[..., Collection[str]] | None = None
    """Names of the tasks that find work at a height; None: all do."""

    def enqueue(
        self, *, height: int, key: str, expires_s: float, before: int = -1, finality: int = 0
    ) -> None:
        """Send every step that finds work and does not wait already, in the table's order.

        `before`: the epoch whose steps were sent last.
        """
        steps = list(head_steps())
        if self.due is not None and height // EVERY_STEP_EPOCHS == before // EVERY_STEP_EPOCHS:
            due = self.due(height=height, finality=finality)
            steps = [step for step in steps if step.task in due]
        lengths = {queue: self.waiting(queue) for queue in {step.queue for step in steps}}
        for step in steps:
            if step.task not in lengths[step.queue]:
                kwargs = {"height": height, "key": key}
                self.send(step.task, kwargs=kwargs, queue=step.queue, expires=expires_s)
