"""What asks others inside a transaction is found, whoever is asked and whatever becomes of the error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils.module_loading import import_string

from apps.chain.errors import NodeUnavailable
from apps.chain.node.connections import Connections
from apps.chain.node.link import NodeLink
from apps.gateway.hub.blocking_client import connection_send, requests_send
from apps.gateway.hub.routes import ConnectionRef

NOWHERE = "http://127.0.0.1:9"
REQUESTS: dict[str, Callable[[], Any]] = {
    "a node": lambda: NodeLink(NOWHERE, "").call("Filecoin.ChainHead", []),
    "a webhook": lambda: Connections(NOWHERE, {}, answer_max=1).post(b"", connect_s=1, answer_s=1),
    "a signer": lambda: requests_send([], timeout_s=1),
    "one connection": lambda: connection_send(ConnectionRef("p", "c", frozenset()), "m", None, timeout_s=1),
    "a mail server": lambda: EmailMessage("subject", "body", to=["a@example.com"]).send(),
    "a source of pieces": lambda: import_string("apps.pieces.data.sources.url_connect")(NOWHERE),
    "a market": lambda: import_string("apps.pieces.data.destinations.url_connect")(NOWHERE),
}


@pytest.mark.django_db
@pytest.mark.parametrize("whom", REQUESTS)
def test_a_request_inside_a_transaction_is_found(whom: str, no_network_in_transactions: list[str]) -> None:
    with transaction.atomic(), pytest.raises(AssertionError, match="inside a transaction"):
        REQUESTS[whom]()

    assert len(no_network_in_transactions) == 1
    no_network_in_transactions.clear()


@pytest.mark.django_db
def test_a_request_outside_a_transaction_is_no_mistake(no_network_in_transactions: list[str]) -> None:
    with transaction.atomic():
        pass
    with pytest.raises(NodeUnavailable):
        REQUESTS["a node"]()

    assert no_network_in_transactions == []
