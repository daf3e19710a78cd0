"""Reading what is known of the chain: tipsets, epochs, the network and the nodes."""
