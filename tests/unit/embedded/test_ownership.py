"""Ports: what a pool chose for a child that listens later, no other pool chooses."""

from __future__ import annotations

import socket
import subprocess
import sys
from uuid import uuid4

import pytest

from poolsite.embedded.errors import PortTaken
from poolsite.embedded.ownership import addresses_reserved


def test_an_address_is_promised_to_one_pool_at_a_time() -> None:
    first, second = f"{uuid4()}:1", f"{uuid4()}:2"
    with addresses_reserved([first]):
        with pytest.raises(PortTaken, match=f"{first} is reserved by another pool"):  # noqa: SIM117
            with addresses_reserved([second, first]):
                pass
        with addresses_reserved([second]):
            """What the refused one had taken by then is free."""
    with addresses_reserved([first]):
        """And the first, once its pool has ended."""


def test_a_name_that_another_account_took_holds_nobody_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody on the machine can bind it."""
    address = f"{uuid4()}:4"
    with addresses_reserved([address]):
        monkeypatch.setattr("os.geteuid", lambda: 54_321)
        with addresses_reserved([address]):
            """The kernel says that the first is another account's."""


def test_a_name_without_a_listener_holds_nobody_back() -> None:
    address = f"{uuid4()}:5"
    with socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(f"\0poolsite {address}")
        with addresses_reserved([address]):
            """It is no pool's: those listen."""


def test_a_promise_ends_with_a_process_that_was_killed() -> None:
    address = f"{uuid4()}:3"
    program = (
        "from poolsite.embedded.ownership import addresses_reserved\n"
        f"with addresses_reserved(['{address}']):\n    print('held', flush=True); input()"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(PortTaken), addresses_reserved([address]):
            pass
        other.kill()
        other.wait(60)

        with addresses_reserved([address]):
            """The kernel has let go of it."""
