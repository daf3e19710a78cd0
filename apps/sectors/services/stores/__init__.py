"""Stores: what hosts report of them, checks, scans, moves and orders."""
