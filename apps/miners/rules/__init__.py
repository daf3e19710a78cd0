"""What follows from what a miner's owner wrote: no row is read here, no node asked."""
