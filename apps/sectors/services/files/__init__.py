"""Files of sectors on hosts and in stores: what is known of them, and who removes them."""
