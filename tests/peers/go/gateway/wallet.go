package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/filecoin-project/go-address"
	"github.com/filecoin-project/go-state-types/crypto"
	vcrypto "github.com/filecoin-project/venus/pkg/crypto"
	_ "github.com/filecoin-project/venus/pkg/crypto/secp"
	"github.com/filecoin-project/venus/venus-shared/types"
	"github.com/ipfs-force-community/sophon-gateway/walletevent"
)

// keys is a wallet in memory.
type keys struct {
	lock    sync.Mutex
	private map[address.Address][]byte
	order   []address.Address
	asked   []Asked
}

// Asked is one thing that the wallet was asked to sign.
type Asked struct {
	Signer address.Address
	ToSign []byte
	Meta   types.MsgMeta
}

func newKeys() *keys {
	return &keys{private: map[address.Address][]byte{}}
}

func (k *keys) make() (address.Address, error) {
	private, err := vcrypto.Generate(crypto.SigTypeSecp256k1)
	if err != nil {
		return address.Undef, err
	}
	public, err := vcrypto.ToPublic(crypto.SigTypeSecp256k1, private)
	if err != nil {
		return address.Undef, err
	}
	made, err := address.NewSecp256k1Address(public)
	if err != nil {
		return address.Undef, err
	}
	k.lock.Lock()
	defer k.lock.Unlock()
	k.private[made] = private
	k.order = append(k.order, made)
	return made, nil
}

// WalletList names the keys.
func (k *keys) WalletList(context.Context) ([]address.Address, error) {
	k.lock.Lock()
	defer k.lock.Unlock()
	return append([]address.Address{}, k.order...), nil
}

// WalletSign signs whatever it is asked to.
func (k *keys) WalletSign(_ context.Context, signer address.Address, toSign []byte, meta types.MsgMeta) (*crypto.Signature, error) {
	k.lock.Lock()
	defer k.lock.Unlock()
	k.asked = append(k.asked, Asked{signer, toSign, meta})
	private, known := k.private[signer]
	if !known {
		return nil, fmt.Errorf("record not found")
	}
	return vcrypto.Sign(toSign, private, crypto.SigTypeSecp256k1)
}

// Wallet is what the test drives.
type Wallet struct {
	keys   *keys
	events *walletevent.WalletEventClient
}

// New makes a key that the hub does not know yet.
func (w *Wallet) New(context.Context) (address.Address, error) { return w.keys.make() }

// Listen registers at the hub and serves it; returns once the hub has taken the keys.
func (w *Wallet) Listen(ctx context.Context) error {
	go w.events.ListenWalletRequest(context.WithoutCancel(ctx))
	w.events.WaitReady(ctx)
	return ctx.Err()
}

// Announce tells the hub of a new key.
func (w *Wallet) Announce(ctx context.Context, added address.Address) error {
	return w.events.AddNewAddress(ctx, []address.Address{added})
}

// Withdraw tells the hub that a key is gone.
func (w *Wallet) Withdraw(ctx context.Context, gone address.Address) error {
	return w.events.RemoveAddress(ctx, []address.Address{gone})
}

// Support offers the keys to one more account.
func (w *Wallet) Support(ctx context.Context, account string) error {
	return w.events.SupportAccount(ctx, account)
}

// Asked tells what was signed, handshakes included.
func (w *Wallet) Asked(context.Context) ([]Asked, error) {
	w.keys.lock.Lock()
	defer w.keys.lock.Unlock()
	return append([]Asked{}, w.keys.asked...), nil
}
