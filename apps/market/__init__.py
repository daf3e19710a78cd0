"""Clients' deals: what is proposed, what the miner's rules say to it, and the data until it is active."""
