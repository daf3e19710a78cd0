"""Market 1.2: boost's protocols over libp2p, by which clients propose deals of the market actor."""
