"""What is read from the chain at every head, whether anything waits for it or not."""

from __future__ import annotations

from celery import shared_task

from apps.chain.heads.steps import facts_read
from apps.chain.node.isolation import for_each_isolated
from apps.chain.selectors.read_cache import chain_read_once


@shared_task(name="chain.facts")
def chain_facts(*, height: int, key: str) -> None:
    """Carry out the tasks of `HEAD_FACTS` one after the other: to send each would cost more than most."""
    with chain_read_once():
        for_each_isolated(facts_read(height=height, key=key), lambda fact: fact[1](), event="fact_not_read")
