from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from poolsite.wire.cleartext import is_clear
from workers.console.client import Console
from workers.signer.gateway import GatewayLink


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://pool.example:8000", True),
        ("ws://10.0.0.5/rpc/v1", True),
        ("http://[2001:db8::1]:8000", True),
        ("https://pool.example", False),
        ("wss://pool.example/rpc/v1", False),
        ("http://localhost:8000", False),
        ("http://127.0.0.1:8000", False),
        ("ws://[::1]:8000", False),
        ("nonsense", False),
    ],
)
def test_a_token_is_in_clear_without_tls_to_another_machine(url, expected):
    assert is_clear(url) is expected


@pytest.mark.parametrize(("scheme", "count"), [("", 1), ("s", 0)])
def test_a_worker_and_a_signer_warn_of_it_at_their_start(scheme, count, monkeypatch):
    monkeypatch.setattr("workers.signer.gateway.PolicyService", lambda *_words, **_options: None)

    with capture_logs() as lines:
        Console(f"http{scheme}://pool.example", "secret").close()
        GatewayLink(None, url=f"ws{scheme}://pool.example/rpc/v1", token=str)  # type: ignore[arg-type]  # never dialled

    warned = [line for line in lines if line["event"] == "token_sent_in_clear"]
    assert len(warned) == 2 * count
    assert "secret" not in str(lines)
