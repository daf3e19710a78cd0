"""Steps that wait already are not sent again, whatever else lies in the queue."""

from __future__ import annotations

from typing import Any

from celery import Celery
from redis.exceptions import ConnectionError as RedisAway

from apps.chain.heads import queues
from apps.chain.heads.queues import tasks_waiting
from apps.chain.heads.steps import Steps, head_steps
from apps.core.redis_clients import redis_client


def test_a_sent_task_waits_until_a_worker_takes_it(pool_redis: str) -> None:
    app = Celery(broker=pool_redis.replace("unix://", "redis+socket://"), set_as_current=False)
    with app.connection_for_write() as link:
        app.send_task("messages.track", queue="head", connection=link)
        app.send_task("wallets.refresh", queue="head", connection=link)

    assert tasks_waiting("head") == {"messages.track", "wallets.refresh"}
    assert tasks_waiting("proving") == set()

    redis_client().rpop("head")
    assert tasks_waiting("head") == {"wallets.refresh"}


def test_what_is_not_of_celery_stands_for_no_task(pool_redis: str) -> None:
    redis_client().rpush("head", "no json", "[]", '{"headers": null}')

    assert tasks_waiting("head") == set()


def test_a_broker_that_is_away_holds_no_step_back(monkeypatch: Any) -> None:
    class Away:
        def lrange(self, *_: object) -> None:
            raise RedisAway

    monkeypatch.setattr(queues, "redis_client", Away)

    assert tasks_waiting("head") == set()


def test_only_steps_that_do_not_wait_are_sent() -> None:
    names = [step.task for step in head_steps()]
    sent: list[str] = []
    steps = Steps(send=lambda task, **_: sent.append(task), waiting=lambda _queue: {names[0], names[3]})

    steps.enqueue(height=7, key="k", expires_s=30)

    assert sent == [name for name in names if name not in {names[0], names[3]}]
