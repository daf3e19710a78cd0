"""A node: its address, its connections, calls with failover, and what its answers say."""
