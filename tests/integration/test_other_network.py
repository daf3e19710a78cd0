"""A devnet under a name that no table has, and another chain at its address: what the pool makes of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from apps.chain.heads.follow import ChainFollower
from apps.chain.heads.steps import Steps
from apps.chain.models import Head, Network, Node
from apps.chain.selectors.network import network_current
from apps.chain.states import NodeCondition
from poolsite.devnet.clock import ManualClock
from poolsite.devnet.node import Devnet
from poolsite.devnet.service import Service
from poolsite.filecoin.policy import ProofForm
from tests.page_client import signed_in, text_of
from tests.people import operator_person

pytestmark = pytest.mark.django_db(transaction=True)

LOCAL = "localnet-6b0f8a1e-55c5-4f0e-9e0a-0a4f5a1b2c3d"
LONGEST_S = 60.0


def turn_until(follower: ChainFollower, is_so: Callable[[], bool]) -> None:
    """Let the follower work until something is so."""
    end = time.monotonic() + LONGEST_S
    while not is_so():
        assert time.monotonic() < end
        follower.turn()


def chain_of(height: int) -> Devnet:
    """A chain of its own genesis that calls itself as every local lotus devnet does."""
    node = Devnet(":memory:", network="test", clock=ManualClock())
    node.faults.settings = replace(node.faults.settings, network_name=LOCAL)
    node.mine(height)
    return node


def test_an_unlisted_chain_is_followed_and_another_at_its_address_is_not(settings: Any) -> None:
    operator_person()
    ours, other = chain_of(3), chain_of(6)
    follower = ChainFollower(steps=Steps(send=lambda *_args, **_kwargs: None))
    try:
        with Service(ours, mining="paused") as service:
            settings.CHAIN_URLS = [service.url]
            port = urlsplit(service.url).port or 0
            turn_until(follower, lambda: Head.objects.filter(height=3).exists())
            assert (network_current().name, network_current().proof_form) == (LOCAL, ProofForm.GROTH16)
            assert LOCAL in text_of(Client().get(reverse("login")))
        turn_until(follower, lambda: Node.objects.get().condition == NodeCondition.AWAY)
        assert "no node can be read" in text_of(signed_in("olga").get("/"))
        with Service(other, port=port, mining="paused"):
            turn_until(follower, lambda: Node.objects.get().condition == NodeCondition.WRONG_NETWORK)
            for _ in range(8):
                follower.turn()
            assert "is on another network" in text_of(signed_in("olga").get("/"))
        assert Head.objects.filter(is_canonical=True).count() == 4
        assert Network.objects.get().name == LOCAL
    finally:
        follower.rest()
        ours.close()
        other.close()
