// An indexer's own code (go-libipni) takes an announcement, fetches the whole chain behind it and verifies it.
package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/ipld/go-ipld-prime"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	"github.com/ipld/go-ipld-prime/storage/memstore"
	selectorparse "github.com/ipld/go-ipld-prime/traversal/selector/parse"
	"github.com/ipni/go-libipni/announce/message"
	"github.com/ipni/go-libipni/dagsync/ipnisync"
	"github.com/ipni/go-libipni/dagsync/ipnisync/head"
	"github.com/ipni/go-libipni/ingest/schema"
	"github.com/ipni/go-libipni/maurl"
	"github.com/ipni/go-libipni/metadata"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-multihash"
)

// say prints one step as a line of JSON.
func say(step string, fields map[string]any) {
	fields["step"] = step
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// must ends the program where a step failed.
func must(step string, err error) {
	if err != nil {
		say(step, map[string]any{"error": err.Error()})
		os.Exit(1)
	}
}

// receive answers announcements on a port, as an indexer does, and prints each.
func receive(port string) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var told message.Message
		if err == nil {
			err = told.UnmarshalCBOR(bytes.NewReader(body))
		}
		if err != nil || r.Method != http.MethodPut {
			http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
			say("announcement", map[string]any{"error": fmt.Sprint(err)})
			return
		}
		addresses, err := told.GetAddrs()
		must("addresses", err)
		infos, err := peer.AddrInfosFromP2pAddrs(addresses...)
		must("peers", err)
		w.WriteHeader(http.StatusNoContent)
		say("announcement", map[string]any{"cid": told.Cid.String(), "peer": infos[0].ID.String(),
			"address": infos[0].Addrs[0].String()})
	}
	must("listen", http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(answer)))
}

// digest is the SHA-256 of multihashes in hexadecimal, sorted and with nothing between.
func digest(all []string) string {
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "")))
	return hex.EncodeToString(sum[:])
}

// entries fetches an advertisement's chunks and gives their multihashes.
func entries(ctx context.Context, syncer *ipnisync.Syncer, links *ipld.LinkSystem, first ipld.Link) (all []string) {
	for link := first; link != nil && link != schema.NoEntries; {
		must("entries", syncer.Sync(ctx, link.(cidlink.Link).Cid, selectorparse.CommonSelector_MatchPoint))
		node, err := links.Load(ipld.LinkContext{Ctx: ctx}, link, schema.EntryChunkPrototype)
		must("entries", err)
		chunk, err := schema.UnwrapEntryChunk(node)
		must("entries", err)
		for _, hash := range chunk.Entries {
			all = append(all, hex.EncodeToString(hash))
		}
		link = chunk.Next
	}
	return all
}

// fetch gets the head of a publisher and all advertisements behind it.
func fetch(id, address string) {
	provider, err := peer.Decode(id)
	must("peer", err)
	place, err := multiaddr.NewMultiaddr(address)
	must("multiaddress", err)
	links := cidlink.DefaultLinkSystem()
	store := &memstore.Store{}
	links.SetReadStorage(store)
	links.SetWriteStorage(store)
	syncer, err := ipnisync.NewSync(links, nil).NewSyncer(peer.AddrInfo{ID: provider, Addrs: []multiaddr.Multiaddr{place}})
	must("syncer", err)
	ctx := context.Background()
	newest, err := syncer.GetHead(ctx)
	must("head", err)
	say("head", map[string]any{"cid": newest.String()})
	gone := map[string]bool{}
	for at := newest; at != cid.Undef; {
		must("advertisement", syncer.Sync(ctx, at, selectorparse.CommonSelector_MatchPoint))
		node, err := links.Load(ipld.LinkContext{Ctx: ctx}, cidlink.Link{Cid: at}, schema.AdvertisementPrototype)
		must("advertisement", err)
		ad, err := schema.UnwrapAdvertisement(node)
		must("advertisement", err)
		signer, err := ad.VerifySignature()
		must("signature", err)
		must("valid", ad.Validate())
		protocols := []string{}
		if len(ad.Metadata) > 0 {
			known := metadata.Default.New()
			must("metadata", known.UnmarshalBinary(ad.Metadata))
			for _, protocol := range known.Protocols() {
				protocols = append(protocols, protocol.String())
			}
		}
		hashes := []string{}
		if gone[string(ad.ContextID)] = gone[string(ad.ContextID)] || ad.IsRm; !gone[string(ad.ContextID)] {
			hashes = entries(ctx, syncer, &links, ad.Entries) // an indexer passes over what a later link removes
		}
		say("advertisement", map[string]any{"cid": at.String(), "context": hex.EncodeToString(ad.ContextID),
			"removal": ad.IsRm, "provider": ad.Provider, "addresses": ad.Addresses, "protocols": protocols,
			"entries": len(hashes), "digest": digest(hashes), "own": signer == provider})
		at = cid.Undef
		if ad.PreviousID != nil {
			at = ad.PreviousID.(cidlink.Link).Cid
		}
	}
}

// node gives the dag-json or dag-cbor of a node and its link.
func node(links *ipld.LinkSystem, store *memstore.Store, prefix cid.Prefix, n ipld.Node) (ipld.Link, string) {
	link, err := links.Store(ipld.LinkContext{}, cidlink.LinkPrototype{Prefix: prefix}, n)
	must("store", err)
	body, err := store.Get(context.Background(), link.(cidlink.Link).Cid.KeyString())
	must("get", err)
	return link, hex.EncodeToString(body)
}

// golden writes what this library makes of one key: chunks of entries, two advertisements, head, announcement.
func golden() {
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(make([]byte, 32)))
	must("key", err)
	id, err := peer.IDFromPrivateKey(key)
	must("peer", err)
	links := cidlink.DefaultLinkSystem()
	store := &memstore.Store{}
	links.SetReadStorage(store)
	links.SetWriteStorage(store)
	cbor := cid.Prefix{Version: 1, Codec: uint64(multicodec.DagCbor), MhType: multihash.SHA2_256, MhLength: -1}

	hashes := []multihash.Multihash{}
	for _, text := range []string{"a", "b", "c"} {
		hash, err := multihash.Sum([]byte(text), multihash.SHA2_256, -1)
		must("hash", err)
		hashes = append(hashes, hash)
	}
	var last ipld.Link
	chunks := []map[string]string{}
	for _, group := range [][]multihash.Multihash{hashes[:2], hashes[2:]} {
		n, err := schema.EntryChunk{Entries: group, Next: last}.ToNode()
		must("chunk", err)
		link, body := node(&links, store, cbor, n)
		chunks = append(chunks, map[string]string{"cid": link.String(), "body": body})
		last = link
	}
	transports := metadata.Default.New(metadata.FilecoinPieceHttp{}, metadata.IpfsGatewayHttp{})
	told, err := transports.MarshalBinary()
	must("metadata", err)
	ads := []map[string]string{}
	var previous ipld.Link
	for _, ad := range []schema.Advertisement{
		{Entries: last, ContextID: []byte("context"), Metadata: told},
		{Entries: schema.NoEntries, ContextID: []byte("context"), Metadata: []byte{}, IsRm: true},
	} {
		ad.PreviousID, ad.Provider, ad.Addresses = previous, id.String(), []string{"/dns/pool.example/tcp/443/https"}
		must("sign", ad.Sign(key))
		n, err := ad.ToNode()
		must("advertisement", err)
		link, body := node(&links, store, schema.Linkproto.Prefix, n)
		ads = append(ads, map[string]string{"cid": link.String(), "body": body})
		previous = link
	}
	signed, err := head.NewSignedHead(previous.(cidlink.Link).Cid, "/indexer/ingest/mainnet", key)
	must("head", err)
	headBody, err := signed.Encode()
	must("head", err)
	place, err := url.Parse("https://pool.example/ipni-provider/" + id.String())
	must("url", err)
	address, err := maurl.FromURL(place)
	must("url", err)
	addresses, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{address}})
	must("addresses", err)
	announced := message.Message{Cid: previous.(cidlink.Link).Cid}
	announced.SetAddrs(addresses)
	var body bytes.Buffer
	must("announcement", announced.MarshalCBOR(&body))
	say("golden", map[string]any{"peer": id.String(), "metadata": hex.EncodeToString(told), "chunks": chunks,
		"advertisements": ads, "head": hex.EncodeToString(headBody), "announcement": hex.EncodeToString(body.Bytes())})
}

func main() {
	switch os.Args[1] {
	case "receive":
		receive(os.Args[2])
	case "golden":
		golden()
	default:
		fetch(os.Args[2], os.Args[3])
	}
}
