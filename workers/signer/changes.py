"""Taking another policy: the history first, then the file, under one lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from poolsite.filecoin.address import POWER_ACTOR
from poolsite.private_files import locked, private_write
from poolsite.wire.policy import change_text
from poolsite.wire.proposals import own_miners_edit
from workers.signer.editors import NAME_MAX, editors_read, signature_check
from workers.signer.errors import SignerError
from workers.signer.history import BY_HAND, History
from workers.signer.policy_parse import policy_parse
from workers.signer.policy_text import edit_apply, rule_form
from workers.signer.tokens import history_secret

if TYPE_CHECKING:
    from poolsite.wire.policy import PolicyChange
    from workers.signer.history import Version
    from workers.signer.policy import Policy


def history_of(folder: Path) -> History:
    """Return the history of a folder's policy."""
    return History(folder / "policy-history.jsonl", secret=history_secret(folder))


def versions_now(folder: Path) -> list[Version]:
    """Return every version, the one in force last; a text that appeared by hand is noted as such."""
    with locked(folder / "policy.lock"):
        return _versions(folder)


def _versions(folder: Path) -> list[Version]:
    history = history_of(folder)
    history.add((folder / "policy.toml").read_text(), by=BY_HAND, now=datetime.now(UTC))
    return history.versions()


def policy_set(folder: Path, text: str, *, by: str) -> Policy:
    """Make a text the policy.  Raises BadPolicy, HistoryBroken."""
    with locked(folder / "policy.lock"):
        return _take(folder, text, by=by)


def _take(folder: Path, text: str, *, by: str) -> Policy:
    policy = policy_parse(text)
    history_of(folder).add(text, by=by, now=datetime.now(UTC))
    private_write(folder / "policy.toml", text)
    return policy


def policy_change(folder: Path, change: Callable[[str], str], *, by: str) -> None:
    """Make another text of the policy's present one.  Raises BadPolicy, HistoryBroken."""
    with locked(folder / "policy.lock"):
        before = (folder / "policy.toml").read_text()
        after = change(before)
        if after != before:
            _take(folder, after, by=by)


def miners_allow(folder: Path, miners: Sequence[str], *, by: str, is_first: bool = False) -> bool:
    """Name miners in `to` of the rule for sealing and proving; False if nothing had to change.

    With `is_first` only while that rule names no miner and no version ever named one of these: what the
    owner has decided since `init` stays.  Raises BadPolicy, HistoryBroken.
    """
    with locked(folder / "policy.lock"):
        versions = _versions(folder)
        text = versions[-1].text
        policy = policy_parse(text)
        rules = [rule_form(rule, policy.sets) for rule in policy.rules]
        edit = own_miners_edit(rules, miners)
        if edit is None:
            return False
        if is_first:
            was = next(rule for rule in rules if rule.name == edit.name)
            named = any(f'"{miner}"' in one.text for one in versions for miner in miners)
            if named or was.to != (str(POWER_ACTOR),):
                return False
        _take(folder, edit_apply(text, edit), by=by)
        return True


def change_apply(folder: Path, change: PolicyChange) -> Version:
    """Make a signed change, if nothing came between.  Raises NotAnEditor, BadPolicy, SignerError."""
    with locked(folder / "policy.lock"):
        versions = _versions(folder)
        number, before = len(versions) + 1, versions[-1].digest
        signed_text = change_text(number=number, before=before, text=change.text)
        if editors_read(folder) and change.number != number:
            raise SignerError(f"the policy changed in the meantime: the next version is {number}")
        signature_check(folder, editor=change.editor, change=signed_text, signature=change.signature)
        if versions[-1].text == change.text:
            raise SignerError("this is already the current policy")
        person = f" ({change.person[:NAME_MAX]} at the console)" if change.person else ""
        _take(folder, change.text, by=f"{change.editor}{person}")
        return history_of(folder).versions()[-1]
