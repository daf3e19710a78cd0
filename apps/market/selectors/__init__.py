"""Reads of deals and miners' markets, and of what deals earn."""
