package caller

import (
	"context"
	"fmt"
	"net/http"
	"os"
)

// Dial opens the client of one interface of a server; what it gives back closes it.
type Dial func(ctx context.Context, kind, url string, header http.Header) (any, func(), error)

// Main is a whole program that drives one client: PROGRAM INTERFACE URL, token in PEER_TOKEN.
func Main(kinds string, dial Dial) {
	if err := run(kinds, dial); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kinds string, dial Dial) error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: %s %s URL", os.Args[0], kinds)
	}
	header := http.Header{}
	if token := os.Getenv("PEER_TOKEN"); token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ctx := context.Background()
	client, closer, err := dial(ctx, os.Args[1], os.Args[2], header)
	if err != nil {
		return err
	}
	defer closer()
	return Serve(ctx, client, os.Stdin, os.Stdout)
}
