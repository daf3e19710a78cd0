"""What follows from a rule's settings: no row is read here, no node asked."""
