"""What a head moves here: the rules that are on."""

from __future__ import annotations

from celery import shared_task

from apps.automation.services.rule_steps import auto_rules_step
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.core.locks import single_flight
from apps.messages.selectors.recovery import recovery_now


@shared_task(name="automation.step")
@single_flight
def automation_step(**_head: object) -> None:
    """Carry out the rules that are on, but for a pool that still reads back what it sent."""
    head = head_current()
    if head is None or recovery_now() is not None:
        return
    auto_rules_step(client=chain_client(), head=head, now=clock.now())
