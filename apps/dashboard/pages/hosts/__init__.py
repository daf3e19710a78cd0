"""The hosts, one host, and how one joins."""
