"""Roles: which host seals and proves for which miner."""
