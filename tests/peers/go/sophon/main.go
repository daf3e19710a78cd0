// Command sophon drives sophon-auth's client library: sophon URL, token in PEER_TOKEN.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/filecoin-project/go-address"
	"github.com/ipfs-force-community/sophon-auth/jwtclient"

	"poolsite/peers/caller"
)

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s URL", os.Args[0])
	}
	address.CurrentNetwork = address.Mainnet
	client, err := jwtclient.NewAuthClient(os.Args[1], os.Getenv("PEER_TOKEN"))
	if err != nil {
		return err
	}
	return caller.Serve(context.Background(), client, os.Stdin, os.Stdout)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
