module poolsite/peers/caller

go 1.23
