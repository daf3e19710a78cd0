"""`python -m workers.processors STAGE…`: a child that runs stages for its parent."""

from __future__ import annotations

from workers.processors.child import main

main()
