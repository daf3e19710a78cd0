"""What the chain says of miners, read out of a node's JSON."""
