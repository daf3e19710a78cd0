"""A signer that dies at any line: a change of the store loses no key, a miner gets no second block.

The program really ends there, in a process of its own: no `finally` runs, nothing is flushed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from poolsite import private_files
from poolsite.filecoin.keys import key_address
from tests.keys import fixed_key
from tests.unit.workers.signer.conftest import CHEAP, PASSWORD
from tests.unit.workers.signer.slash_protection import again, block, sign
from workers.signer import encryption, keystore, records, signing, slash_protection
from workers.signer.default_policy import DEFAULT
from workers.signer.errors import AlreadySigned, WrongPassword
from workers.signer.keystore import KeyStore

OURS = {str(module.__file__) for module in (keystore, encryption, private_files)}
SIGNING = {str(module.__file__) for module in (slash_protection, records, signing)}
KEY, MORE = fixed_key("secp256k1"), fixed_key("bls")
DIED, DONE = 9, 0
SMALL = get_context("forkserver")
"""Its children are forked from a small process: to fork one that holds all tests takes 50 ms."""
SMALL.set_forkserver_preload([__name__])


def end_at(number: int, act: Callable[[], Any], files: set[str]) -> None:
    """Carry something out in this process, which ends before the line of this number."""
    lines = 0

    def traced(frame: Any, event: str, _arg: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            lines += 1
            if lines == number:
                os._exit(DIED)
        return traced

    sys.settrace(traced)
    act()
    os._exit(DONE)


def died_at(number: int, act: Callable[[], Any], files: set[str] = OURS) -> bool:
    """Do the same in a child; False if it came to its end before that line."""
    child = SMALL.Process(target=end_at, args=(number, act, files))
    child.start()
    child.join()
    assert child.exitcode in (DIED, DONE)
    return child.exitcode == DIED


def opened(folder: Path, *passwords: str) -> tuple[KeyStore, str]:
    """Open a store by the one of the passwords that fits."""
    store = KeyStore(folder, cost=CHEAP)
    for password in passwords:
        try:
            store.unlock(password)
        except WrongPassword:
            continue
        return store, password
    pytest.fail("the store opens with no password")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a key."""
    store = KeyStore(tmp_path / "store", cost=CHEAP)
    store.path.parent.mkdir()
    store.password_set(PASSWORD)
    store.add(KEY)
    return store.path.parent


def change(folder: Path) -> None:
    KeyStore(folder, cost=CHEAP).password_change(PASSWORD, "another")


def take_in(folder: Path) -> None:
    store = KeyStore(folder, cost=CHEAP)
    store.unlock(PASSWORD)
    store.add(MORE)


def first_sign(folder: Path, height: int) -> None:
    sign(again(folder), block(height, b"one"))


def deaths(folder: Path, act: Callable[[Path], None]) -> list[Path]:
    """Return the folders as each death left them, then the one of the run that nothing ended."""
    left: list[Path] = []
    while True:
        copy = folder.with_name(f"{folder.name}-{len(left)}")
        shutil.copytree(folder, copy)
        left.append(copy)
        if not died_at(len(left), partial(act, copy)):
            return left


def test_kill_in_a_password_change_leaves_old_or_new_password(folder):
    left = deaths(folder, change)

    found = []
    for one in left:
        store, password = opened(one, PASSWORD, "another")
        assert store.key(str(key_address(KEY))) == KEY
        found.append(password)

    turn = found.index("another")
    assert found == [PASSWORD] * turn + ["another"] * (len(found) - turn), "there and back"
    assert len(left) > 40


def test_a_death_at_any_line_of_an_import_loses_no_key(folder):
    left = deaths(folder, take_in)

    there = []
    for one in left:
        store, _ = opened(one, PASSWORD)
        assert store.key(str(key_address(KEY))) == KEY
        there.append(store.has(str(key_address(MORE))))

    assert (there[0], there[-1], sorted(there)) == (False, True, there)
    store, _ = opened(left[-1], PASSWORD)
    assert store.key(str(key_address(MORE))) == MORE


def test_kill_in_a_block_signature_allows_one_block_at_most(tmp_path):
    """Before its height is taken, the block may be replaced; from then on, it alone is signed, again."""
    folder = tmp_path / "signer"
    folder.mkdir()
    (folder / "policy.toml").write_text(DEFAULT)
    store = KeyStore(folder, cost=CHEAP)
    store.password_set(PASSWORD)
    store.add(fixed_key("bls"))

    taken, number = [], 0
    while True:
        number += 1
        died = died_at(number, partial(first_sign, folder, number), SIGNING)
        started = again(folder)
        try:
            sign(started, block(number, b"two"))
            taken.append(False)
        except AlreadySigned:
            assert sign(started, block(number, b"one"))
            taken.append(True)
        assert started.records.chain_verify() is None
        started.close()
        if not died:
            break

    assert taken == sorted(taken), "once it is taken, it stays so"
    assert taken[-1], "whose signature left"
    assert taken.count(True) > 5, "the height is taken some lines before the signature leaves"
    assert taken.count(False) > 40
