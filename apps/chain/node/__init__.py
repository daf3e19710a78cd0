"""A node: its address, its connections, calls with failover or for many rows, and what its answers say."""
