"""What a gateway's console is told of the policy, and which changes the signer takes from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.amounts import FIL
from poolsite.filecoin.cbor import encode
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_to_cbor
from poolsite.wire.codec import document_decode, document_encode
from poolsite.wire.policy import (
    POLICY_APPLY,
    POLICY_DRAFT,
    POLICY_READ,
    POLICY_TRY,
    POLICY_VERSION,
    PUT,
    REMOVE,
    REPLACE,
    MessageTrial,
    MessageVerdict,
    PolicyApplied,
    PolicyChange,
    PolicyDraft,
    PolicyEdit,
    PolicyState,
    PolicyVersion,
    RuleForm,
    VersionAsked,
    change_signature,
)
from tests.keys import fixed_key
from workers.signer.changes import history_of
from workers.signer.commands import main
from workers.signer.default_policy import DEFAULT
from workers.signer.editors import editor_add, editor_remove
from workers.signer.errors import Denied, SignerError
from workers.signer.message_payloads import message_request
from workers.signer.policy_service import PolicyService
from workers.signer.records import Verdict

SENDER = key_address(fixed_key("secp256k1"))
KINDS: dict[str, type[Any]] = {
    POLICY_READ: PolicyState,
    POLICY_VERSION: PolicyVersion,
    POLICY_DRAFT: PolicyDraft,
    POLICY_TRY: MessageVerdict,
    POLICY_APPLY: PolicyApplied,
}


@pytest.fixture
def desk(signer: Any) -> PolicyService:
    return PolicyService(signer, caller="gateway ws://console", rule_set="")


def ask(desk: PolicyService, method: str, question: Any = None) -> Any:
    payload = None if question is None else document_encode(question)
    return document_decode(KINDS[method], desk.answer(method, payload))


def message(value: Any = FIL // 2, **overrides: Any) -> Message:
    gas: dict[str, Any] = {"gas_limit": 1, "gas_fee_cap": 1, "gas_premium": 1}
    fields: dict[str, Any] = {"to": address_parse("f01234"), "from_": SENDER, "nonce": 0, **overrides}
    return Message(value=value, **gas, **fields)


def sign(signer: Any, one: Message) -> None:
    signer.sign(
        address=str(SENDER),
        to_sign=one.cid.data,
        meta_type="message",
        extra=message_to_cbor(one),
        caller="gateway ws://console",
    )


def signed(desk: PolicyService, code: str, edit: PolicyEdit, **overrides: Any) -> PolicyChange:
    draft = ask(desk, POLICY_DRAFT, edit)
    fields = {
        "text": draft.text,
        "number": draft.number,
        "editor": "ann",
        "signature": change_signature(code, draft.change),
        "person": "olga",
        **overrides,
    }
    return PolicyChange(**fields)


LESS = PolicyEdit(op=REMOVE, name="small transfers")


def test_rules_and_versions_are_shown(desk):
    state = ask(desk, POLICY_READ)

    assert [rule.name for rule in state.rules] == [
        "proofs and declarations",
        "sealing and proving",
        "blocks",
        "own escrow",
        "small transfers",
    ]
    assert state.text == DEFAULT
    assert (state.number, state.versions[0].by) == (1, "(edited by hand)")
    assert state.editors == ()
    assert "miner.SubmitWindowedPoSt" in state.methods
    assert len(state.methods) > 60


def test_what_has_its_default_is_not_sent(desk):
    """A console of an older version refuses members that it does not know."""
    rules = desk.answer(POLICY_READ, None)["rules"]

    assert rules[2] == {"name": "blocks", "types": ["block", "drawrandomparam"]}


def test_a_policy_that_cannot_be_read_is_shown_with_the_reason(desk, signer):
    (signer.folder / "policy.toml").write_text("nonsense")

    state = ask(desk, POLICY_READ)

    assert (state.text, state.rules) == ("nonsense", ())
    assert "not TOML" in state.error


def drawn(signer: Any, count: int) -> None:
    """Draw randomness as a miner that makes blocks does 2,880 times a day."""
    for number in range(count):
        raw = b"\xa4" + b"".join(
            encode(one) for one in ("Rbase", b"r", "Pers", 5, "Round", number, "Entropy", b"")
        )
        signer.sign(
            address=str(SENDER), to_sign=raw, meta_type="drawrandomparam", extra=b"", caller="gateway"
        )


def test_draft_sees_messages_behind_many_draws(desk, signer, monkeypatch):
    """Of ten miners' draws alone, the newest 20,000 records are those of 17 hours."""
    monkeypatch.setattr("workers.signer.policy_service.BACKTEST_MAX", 5)
    sign(signer, message())
    drawn(signer, 6)

    less = ask(desk, POLICY_DRAFT, LESS)
    none = ask(desk, POLICY_DRAFT, PolicyEdit(op=REMOVE, name="blocks"))

    assert (less.requests, less.refused, less.days) == (6, 1, 30)
    assert none.refused == 5


@pytest.mark.parametrize("most", ["policy_service.BACKTEST_MAX", "policy_backtest.SCANNED_MAX"])
def test_draft_names_the_days_that_it_looked_at(desk, signer, monkeypatch, most):
    monkeypatch.setattr(f"workers.signer.{most}", 3)
    for nonce, days in enumerate((20, 15, 10, 5)):
        one = message(nonce=nonce)
        request = message_request(one, SENDER, raw=message_to_cbor(one))
        at = datetime.now(UTC) - timedelta(days=days) + timedelta(hours=1)
        signer.records.write(request, Verdict("small transfers", ""), caller="gateway", now=at)

    draft = ask(desk, POLICY_DRAFT, LESS)

    assert (draft.requests, draft.refused, draft.days) == (3, 3, 15)


def test_a_draft_tells_what_would_have_been_refused_and_changes_nothing(desk, signer):
    sign(signer, message())
    with pytest.raises(Denied):
        sign(signer, message(5 * FIL))
    more = RuleForm(name="large", methods=("Send",), value_max="9 FIL")

    less = ask(desk, POLICY_DRAFT, LESS)
    wider = ask(desk, POLICY_DRAFT, PolicyEdit(op=PUT, rule=more))

    assert (less.requests, less.refused, less.allowed) == (2, 1, 0)
    assert less.others[0].is_refusal
    assert less.others[0].before == "signed by 'small transfers'"
    assert (wider.refused, wider.allowed) == (0, 1)
    assert '-name = "small transfers"' in less.diff
    assert (signer.folder / "policy.toml").read_text() == DEFAULT


def test_a_message_is_tried_without_a_record(desk, signer):
    good = ask(desk, POLICY_TRY, MessageTrial(message=message_to_cbor(message())))
    dear = ask(desk, POLICY_TRY, MessageTrial(message=message_to_cbor(message(9 * FIL))))
    other = ask(desk, POLICY_TRY, MessageTrial(message=message_to_cbor(message()), text="version = 1\n"))

    assert (good.rule, good.error) == ("small transfers", "")
    assert "value 9 FIL is above 1 FIL" in dear.error
    assert "no rule allows" in other.error
    assert signer.records.chain_verify() is None
    assert not signer.records.link.execute("SELECT COUNT(*) FROM record").fetchone()[0]


def test_a_strange_key_and_bytes_that_are_no_message_are_not_tried(desk):
    strange = message(from_=address_parse("f01"))

    with pytest.raises(SignerError, match="does not have the key of f01"):
        ask(desk, POLICY_TRY, MessageTrial(message=message_to_cbor(strange)))
    with pytest.raises(SignerError, match="this is not a message"):
        ask(desk, POLICY_TRY, MessageTrial(message=b"\x01"))


def test_a_sealed_change_is_in_force_at_once_and_can_be_undone(desk, signer):
    code = editor_add(signer.folder, "ann")
    sign(signer, message())

    taken = ask(desk, POLICY_APPLY, signed(desk, code, LESS))

    assert (taken.number, taken.by) == (2, "ann (olga at the console)")
    with pytest.raises(Denied):
        sign(signer, message())
    old = ask(desk, POLICY_VERSION, VersionAsked(number=1))
    ask(desk, POLICY_APPLY, signed(desk, code, PolicyEdit(op=REPLACE, text=old.text)))
    sign(signer, message())
    assert [one.by for one in history_of(signer.folder).versions()] == [
        "(edited by hand)",
        "ann (olga at the console)",
        "ann (olga at the console)",
    ]
    shown = ask(desk, POLICY_VERSION, VersionAsked(number=2))
    assert '-name = "small transfers"' in shown.diff


def test_without_an_editor_nothing_is_changed_from_afar(desk, signer):
    with pytest.raises(SignerError, match="accepts no changes from a console"):
        ask(desk, POLICY_APPLY, signed(desk, "guess", LESS))

    code = editor_add(signer.folder, "ann")
    change = signed(desk, code, LESS)
    editor_remove(signer.folder, "ann")
    with pytest.raises(SignerError, match="accepts no changes from a console"):
        ask(desk, POLICY_APPLY, change)
    assert (signer.folder / "policy.toml").read_text() == DEFAULT


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"signature": "00" * 32}, "the signature does not match this change"),
        ({"signature": "é"}, "the signature does not match this change"),
        ({"text": DEFAULT + "# more\n"}, "the signature does not match this change"),
        ({"editor": "bob"}, "'bob' is not an editor"),
        ({"number": 7}, "the policy changed in the meantime"),
    ],
)
def test_a_change_that_is_not_the_sealed_one_is_refused(desk, signer, overrides, complaint):
    code = editor_add(signer.folder, "ann")

    with pytest.raises(SignerError, match=complaint):
        ask(desk, POLICY_APPLY, signed(desk, code, LESS, **overrides))

    assert (signer.folder / "policy.toml").read_text() == DEFAULT


def test_a_seal_is_good_once(desk, signer):
    code = editor_add(signer.folder, "ann")
    change = signed(desk, code, LESS)
    ask(desk, POLICY_APPLY, change)
    ask(desk, POLICY_APPLY, signed(desk, code, PolicyEdit(op=REPLACE, text=DEFAULT)))

    again = PolicyChange(text=change.text, number=4, editor="ann", signature=change.signature)

    with pytest.raises(SignerError, match="the signature does not match this change"):
        ask(desk, POLICY_APPLY, again)


def test_a_sealed_text_that_is_no_policy_is_not_taken(desk, signer):
    code = editor_add(signer.folder, "ann")
    ask(desk, POLICY_READ)
    (signer.folder / "policy.toml").write_text("")
    draft = ask(desk, POLICY_READ)
    assert draft.error

    with pytest.raises(SignerError):
        signed(desk, code, LESS)


def test_a_gateway_that_is_limited_to_a_set_sees_no_policy(signer):
    desk = PolicyService(signer, caller="gateway ws://console", rule_set="purse")

    for method in KINDS:
        with pytest.raises(SignerError, match="limited to the set 'purse'"):
            desk.answer(method, None)


@pytest.mark.parametrize("payload", [None, 7, {}, {"v": 1}, {"v": 1, "op": "burn"}, {"v": 2}])
@pytest.mark.parametrize("method", [POLICY_VERSION, POLICY_DRAFT, POLICY_TRY, POLICY_APPLY])
def test_questions_that_cannot_be_read_are_refused(desk, method, payload):
    with pytest.raises(SignerError, match="the request cannot be read"):
        desk.answer(method, payload)


def test_editors_come_and_go_by_command(signer, capsys):
    words = ["policy", "--dir", str(signer.folder)]

    assert main([*words, "--editor", "ann"]) == 0
    assert len(capsys.readouterr().out.strip()) == 32
    assert main([*words, "--editor", "ann"]) == 1
    assert "remove it first" in capsys.readouterr().err
    assert main([*words, "--editors"]) == 0
    assert capsys.readouterr().out == "ann\n"
    assert main([*words, "--no-editor", "ann"]) == 0
    assert main([*words, "--no-editor", "ann"]) == 1
    assert oct((signer.folder / "editors.json").stat().st_mode)[-3:] == "600"
