// Reads a file through a trustless gateway with boxo's own client, which fetches CARs and verifies each block.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/path"
)

// Usage: gateway_client URL PATH; writes the file to standard output.
func main() {
	if err := read(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(url, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fetcher, err := gateway.NewRemoteCarFetcher([]string{url}, nil)
	if err != nil {
		return err
	}
	backend, err := gateway.NewCarBackend(fetcher)
	if err != nil {
		return err
	}
	parsed, err := path.NewPath(text)
	if err != nil {
		return err
	}
	immutable, err := path.NewImmutablePath(parsed)
	if err != nil {
		return err
	}
	_, node, err := backend.GetAll(ctx, immutable)
	if err != nil {
		return err
	}
	defer node.Close()
	file, ok := node.(io.Reader)
	if !ok {
		return fmt.Errorf("%s is no file", text)
	}
	_, err = io.Copy(os.Stdout, file)
	return err
}
