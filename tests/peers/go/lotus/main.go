// Command lotus drives one of lotus's own RPC clients: lotus INTERFACE URL, token in PEER_TOKEN.
package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/filecoin-project/go-address"
	"github.com/filecoin-project/lotus/api/client"

	"poolsite/peers/caller"
)

func dial(ctx context.Context, kind, url string, header http.Header) (any, func(), error) {
	switch kind {
	case "node-v0":
		return client.NewFullNodeRPCV0(ctx, url, header)
	case "node-v1":
		return client.NewFullNodeRPCV1(ctx, url, header)
	case "wallet":
		return client.NewWalletRPCV0(ctx, url, header)
	}
	return nil, nil, fmt.Errorf("no interface %q", kind)
}

func main() {
	address.CurrentNetwork = address.Mainnet
	caller.Main("node-v0|node-v1|wallet", dial)
}
