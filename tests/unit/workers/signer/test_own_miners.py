"""Naming miners in the policy on the signer's own command line, by hand and by the first `make up`."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolsite.filecoin.address import actor_address
from poolsite.filecoin.keys import key_address
from tests.keys import fixed_key
from workers.signer.changes import history_of, miners_allow, policy_set
from workers.signer.commands import PERMANENT, main
from workers.signer.default_policy import DEFAULT
from workers.signer.policy_parse import policy_parse


def named(folder: Path) -> tuple[str, ...]:
    policy = policy_parse((folder / "policy.toml").read_text())
    return next(rule.to for rule in policy.rules if rule.name == "sealing and proving")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A signer's policy as `init` writes it; the verb asks for a key store, too."""
    (tmp_path / "policy.toml").write_text(DEFAULT)
    (tmp_path / "keystore.json").write_text("{}")
    return tmp_path


def test_default_policy_makes_miners_and_sends_nothing_to_one(folder):
    assert named(folder) == ("f04",)


def test_policy_verb_names_miners_as_a_version_of_its_own(folder, capsys):
    code = main(["policy", "--dir", str(folder), "--miner", "f01234", "--miner", "t05678", "--by", "ann"])

    assert (code, named(folder)) == (0, ("f04", "f01234", "f05678"))
    assert capsys.readouterr().out == "sealing and proving is allowed for f01234, f05678\n"
    assert [one.by for one in history_of(folder).versions()] == ["(edited by hand)", "ann"]


def test_policy_verb_refuses_what_is_no_address(folder, capsys):
    assert main(["policy", "--dir", str(folder), "--miner", "pool"]) == 1
    assert capsys.readouterr().err.strip()
    assert (folder / "policy.toml").read_text() == DEFAULT


@pytest.mark.parametrize("verb", [("policy",), ("heights", "--close", "100", "--by", "ann")])
@pytest.mark.parametrize("kind", ["bls", "secp256k1", "actor"])
def test_miner_by_another_address_than_its_id_is_refused(folder, capsys, verb, kind):
    address = str(actor_address(b"miner") if kind == "actor" else key_address(fixed_key(kind)))

    assert main([*verb, "--dir", str(folder), "--miner", address]) == 1
    assert (
        f"{address} would never match: messages and blocks name a miner by its ID" in capsys.readouterr().err
    )
    assert (folder / "policy.toml").read_text() == DEFAULT


def test_first_miner_is_named_once_and_later_decisions_stay(folder):
    assert miners_allow(folder, ["f01000"], by="make up", is_first=True)
    assert not miners_allow(folder, ["f01000"], by="make up", is_first=True)
    assert not miners_allow(folder, ["f01001"], by="make up", is_first=True)
    assert named(folder) == ("f04", "f01000")

    policy_set(folder, DEFAULT, by="ann")  # she took it out again

    assert not miners_allow(folder, ["f01000"], by="make up", is_first=True)
    assert named(folder) == ("f04",)


def test_first_miner_does_not_limit_a_policy_that_names_none(folder):
    text = DEFAULT.replace('to = ["f04"]\n', "")
    policy_set(folder, text, by="ann")

    assert not miners_allow(folder, ["f01000"], by="make up", is_first=True)
    assert (folder / "policy.toml").read_text() == text


def test_init_says_by_its_exit_code_that_waiting_mends_nothing(tmp_path, capsys, monkeypatch):
    (tmp_path / "keystore.json").write_text("no store")
    (tmp_path / "password").write_text("x\n")

    assert main(["init", "--dir", str(tmp_path)]) == PERMANENT
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_init_on_a_full_disk_may_be_tried_again(tmp_path, monkeypatch):
    def full(path: Path, _text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("workers.signer.init_command.private_write", full)

    assert main(["init", "--dir", str(tmp_path)]) == 1
