"""What `make up` prints while its terminal takes nothing, and after it was closed."""

from __future__ import annotations

import os
import pty
import sys
import termios

import pytest

from poolsite.embedded.terminal import Terminal


def test_terminal_held_by_ctrl_s_gets_its_lines_later(monkeypatch: pytest.MonkeyPatch) -> None:
    person, terminal = pty.openpty()
    os.set_blocking(person, False)
    with os.fdopen(terminal, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        said = Terminal()
        termios.tcflow(terminal, termios.TCOOFF)

        said.report("web-1 exited")
        said.report("web-1 is ready")
        with pytest.raises(BlockingIOError):
            os.read(person, 1)
        termios.tcflow(terminal, termios.TCOON)
        said.flush()

        os.set_blocking(person, True)  # a terminal may hand a line over in parts
        shown = b""
        while not shown.endswith(b"ready\r\n"):
            shown += os.read(person, 4096)
        assert shown == b"web-1 exited\r\nweb-1 is ready\r\n"
    os.close(person)


def test_closed_terminal_is_no_reason_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    out = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stdout", out)
    said = Terminal()

    said.report("nobody reads this")

    assert not said.lines
    with pytest.raises(BrokenPipeError):
        out.close()
