"""What the chain says of sectors, read out of a node's JSON."""
