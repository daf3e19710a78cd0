"""Timelines of tenants and miners."""
