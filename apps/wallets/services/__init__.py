"""Writing wallets: signatures, policies, and what the chain says about addresses."""

from __future__ import annotations
