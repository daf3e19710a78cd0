"""What the console asks a signer about its policy."""

from __future__ import annotations

from typing import Any

from apps.users.rules.principals import SYSTEM
from apps.wallets.services import policies
from poolsite.wire.codec import document_send
from poolsite.wire.policy import PUT, PolicyDraft, PolicyEdit, RuleForm

DRAFT = PolicyDraft(
    text="",
    digest="",
    number=2,
    change="",
    diff="",
    rules=1,
    days=30,
    requests=0,
    refused=0,
    allowed=0,
    others=(),
)


def test_a_signer_is_not_sent_what_has_its_default(monkeypatch):
    """A signer of an older version refuses members that it does not know."""
    sent: list[Any] = []

    def answer(_row: Any, *, payload: Any, **_more: Any) -> Any:
        sent.append(payload)
        return document_send(DRAFT)

    monkeypatch.setattr(policies, "signer_find", lambda *_given, **_named: None)
    monkeypatch.setattr(policies, "connection_request", answer)
    edit = PolicyEdit(op=PUT, rule=RuleForm(name="r", value_max="1 FIL"))

    assert policies.policy_draft_make(SYSTEM, address="f1", edit=edit) == DRAFT

    assert sent == [{"v": 1, "op": PUT, "rule": {"name": "r", "value_max": "1 FIL"}}]
