from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from poolsite.filecoin.keys import key_address
from tests.keys import fixed_key
from tests.unit.workers.signer.conftest import CHEAP, PASSWORD
from workers.signer.errors import DamagedStore, KeyMissing, Locked, SignerError, WrongPassword
from workers.signer.keystore import FILE_DELAY_S, KeyStore

KEY = fixed_key("secp256k1")
ADDRESS = str(key_address(KEY))


def reopened(store: KeyStore, password: str = PASSWORD) -> KeyStore:
    again = KeyStore(store.path.parent, cost=CHEAP)
    again.unlock(password)
    return again


def test_a_key_comes_back_after_a_restart(store):
    assert reopened(store).key(ADDRESS) == KEY


def test_the_file_holds_no_key_in_clear_and_is_for_its_owner(store):
    text = store.path.read_bytes()

    assert KEY.private_key not in text
    assert KEY.private_key.hex().encode() not in text
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_a_locked_store_lists_but_gives_no_key(store):
    again = KeyStore(store.path.parent)

    assert [entry.address for entry in again.entries()] == [ADDRESS]
    with pytest.raises(Locked, match="wallet locked"):
        again.key(ADDRESS)


def test_a_wrong_password_does_not_open_it(store):
    with pytest.raises(WrongPassword):
        reopened(store, "wrong")


def test_an_empty_folder_has_no_password(tmp_path):
    with pytest.raises(Locked, match="password not set"):
        KeyStore(tmp_path).unlock("any")


def test_a_second_password_is_refused(store):
    with pytest.raises(SignerError, match="the password already exists"):
        store.password_set("other")


def test_either_prefix_names_the_key(store):
    assert store.key("t" + ADDRESS[1:]) == KEY


def test_a_known_key_is_not_added_twice(store):
    assert store.add(KEY) == ADDRESS
    assert len(store.entries()) == 1


def test_a_deleted_key_is_gone_and_can_be_restored(store):
    store.delete(ADDRESS)
    with pytest.raises(KeyMissing, match="record not found"):
        store.key(ADDRESS)

    store.restore(ADDRESS)

    assert store.key(ADDRESS) == KEY


def test_a_changed_password_opens_everything(store):
    bls = store.add(fixed_key("bls"))

    store.password_change(PASSWORD, "another")

    again = reopened(store, "another")
    assert (again.key(ADDRESS), again.key(bls)) == (KEY, fixed_key("bls"))
    with pytest.raises(WrongPassword):
        reopened(store)


def test_a_change_of_another_process_is_seen(store):
    other = reopened(store)

    added = other.add(fixed_key("bls"))

    assert store.key(added) == fixed_key("bls")


def test_a_password_changed_by_another_process_locks_us(store):
    reopened(store).password_change(PASSWORD, "another")

    with pytest.raises(Locked):
        store.key(ADDRESS)


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("first", ["key", "add"])
def test_a_password_changed_by_another_process_is_read_from_its_file(store, monkeypatch, is_late, first):
    store.password_path = store.path.parent / "password"
    store.password_path.write_text(PASSWORD if is_late else "another\n")
    pauses: list[float] = []

    def pause(pause_s: float) -> None:
        pauses.append(pause_s)
        if pause_s:
            store.password_path.write_text("another\n")

    monkeypatch.setattr("workers.signer.keystore.time.sleep", pause)
    reopened(store).password_change(PASSWORD, "another")

    if first == "key":
        assert store.key(ADDRESS) == KEY
    added = store.add(fixed_key("bls"))
    assert pauses == [0.0, FILE_DELAY_S][: 1 + is_late]
    assert (store.key(ADDRESS), store.key(added)) == (KEY, fixed_key("bls"))
    assert reopened(store, "another").key(added) == fixed_key("bls")


def test_a_password_that_its_file_lacks_locks_us(store, monkeypatch):
    monkeypatch.setattr("workers.signer.keystore.FILE_DELAY_S", 0.0)
    store.password_path = store.path.parent / "password"
    reopened(store).password_change(PASSWORD, "another")

    with pytest.raises(Locked):
        store.key(ADDRESS)


def test_boxes_cannot_be_exchanged_between_keys(store):
    bls = store.add(fixed_key("bls"))
    value = json.loads(store.path.read_text())
    value["keys"][0]["box"], value["keys"][1]["box"] = value["keys"][1]["box"], value["keys"][0]["box"]
    store.path.write_text(json.dumps(value))

    with pytest.raises(WrongPassword):
        reopened(store).key(bls)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "check": {}, "keys": []}'])
def test_a_damaged_file_is_named_and_stays(store, text):
    store.path.write_text(text)

    with pytest.raises(DamagedStore):
        KeyStore(store.path.parent).unlock(PASSWORD)

    assert store.path.read_text() == text


STEPS = ("mkstemp", "write", "fsync", "replace")


def break_at(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Let the program die at one step of writing a file."""

    def die(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    if step == "mkstemp":
        monkeypatch.setattr(tempfile, "mkstemp", die)
    elif step == "write":
        monkeypatch.setattr(os, "fdopen", die)
    elif step == "fsync":
        monkeypatch.setattr(os, "fsync", die)
    else:
        monkeypatch.setattr(Path, "replace", die)


@pytest.mark.parametrize("step", STEPS)
def test_a_death_during_a_password_change_leaves_the_old_password(store, monkeypatch, step):
    with monkeypatch.context() as patch:
        break_at(patch, step)
        with pytest.raises(KeyboardInterrupt):
            store.password_change(PASSWORD, "another")

    assert reopened(store).key(ADDRESS) == KEY


@pytest.mark.parametrize("step", STEPS)
def test_a_death_during_an_import_loses_no_key(store, monkeypatch, step):
    with monkeypatch.context() as patch:
        break_at(patch, step)
        with pytest.raises(KeyboardInterrupt):
            store.add(fixed_key("bls"))

    assert reopened(store).key(ADDRESS) == KEY


def test_a_death_after_the_new_file_is_there_leaves_the_new_password(store, monkeypatch):
    seen: list[int] = []
    real = os.fsync

    def die_at_the_folder(handle: int) -> None:
        seen.append(handle)
        if len(seen) == 2:
            raise KeyboardInterrupt
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", die_at_the_folder)
        with pytest.raises(KeyboardInterrupt):
            store.password_change(PASSWORD, "another")

    assert reopened(store, "another").key(ADDRESS) == KEY
