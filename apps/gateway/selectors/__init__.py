"""Reading who is connected to the hub, and where a market is reached."""
