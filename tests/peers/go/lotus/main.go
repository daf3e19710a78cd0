// Command lotus drives one of lotus's own RPC clients: lotus INTERFACE URL, token in PEER_TOKEN.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/filecoin-project/go-address"
	"github.com/filecoin-project/go-jsonrpc"
	"github.com/filecoin-project/lotus/api/client"

	"poolsite/peers/caller"
)

func dial(ctx context.Context, kind, url string, header http.Header) (any, jsonrpc.ClientCloser, error) {
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

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: %s node-v0|node-v1|wallet URL", os.Args[0])
	}
	address.CurrentNetwork = address.Mainnet
	header := http.Header{}
	if token := os.Getenv("PEER_TOKEN"); token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ctx := context.Background()
	node, closer, err := dial(ctx, os.Args[1], os.Args[2], header)
	if err != nil {
		return err
	}
	defer closer()
	return caller.Serve(ctx, node, os.Stdin, os.Stdout)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
