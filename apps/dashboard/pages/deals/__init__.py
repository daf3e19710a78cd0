"""Clients' deals: the list, and one deal."""
