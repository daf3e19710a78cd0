"""`python -m poolsite`: the pool's REST as a command."""

from __future__ import annotations

from poolsite.command.main import main

main()
