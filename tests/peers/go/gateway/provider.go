package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/filecoin-project/go-address"
	"github.com/filecoin-project/go-state-types/abi"
	"github.com/filecoin-project/go-state-types/network"
	"github.com/filecoin-project/venus/venus-shared/actors/builtin"
	"github.com/filecoin-project/venus/venus-shared/types"
	"github.com/ipfs-force-community/sophon-gateway/marketevent"
	"github.com/ipfs-force-community/sophon-gateway/proofevent"
	"github.com/ipfs/go-cid"
)

// refusedHeight is the height at which the prover refuses, so that its words can be seen on their way back.
const refusedHeight = 13

// Prover answers with the hash of the randomness: enough to see that question and answer belong together.
type Prover struct {
	lock   sync.Mutex
	asked  []Proof
	events *proofevent.ProofEvent
}

// Proof is one proof that was asked for.
type Proof struct {
	Sectors []builtin.ExtendedSectorInfo
	Rand    []byte
	Height  abi.ChainEpoch
	Version network.Version
}

// ComputeProof is called by the event client.
func (p *Prover) ComputeProof(_ context.Context, sectors []builtin.ExtendedSectorInfo, rand abi.PoStRandomness, height abi.ChainEpoch, version network.Version) ([]builtin.PoStProof, error) {
	p.lock.Lock()
	p.asked = append(p.asked, Proof{sectors, rand, height, version})
	p.lock.Unlock()
	if height == refusedHeight {
		return nil, fmt.Errorf("the sealed file of sector %d is gone", sectors[0].SectorNumber)
	}
	digest := sha256.Sum256(rand)
	return []builtin.PoStProof{{PoStProof: abi.RegisteredPoStProof_StackedDrgWinning2KiBV1, ProofBytes: digest[:]}}, nil
}

// Ready returns once the hub has taken the connection.
func (p *Prover) Ready(ctx context.Context) error {
	p.events.WaitReady(ctx)
	return ctx.Err()
}

// Asked tells what was asked for.
func (p *Prover) Asked(context.Context) ([]Proof, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	return append([]Proof{}, p.asked...), nil
}

// Market takes every request to unseal.
type Market struct {
	lock   sync.Mutex
	asked  []Unsealing
	events *marketevent.MarketEvent
}

// Unsealing is one piece that was asked for.
type Unsealing struct {
	Miner  address.Address
	Piece  cid.Cid
	Sector abi.SectorNumber
	Offset types.UnpaddedByteIndex
	Size   abi.UnpaddedPieceSize
	Dest   string
}

// SectorsUnsealPiece is called by the event client.
func (m *Market) SectorsUnsealPiece(_ context.Context, miner address.Address, piece cid.Cid, sector abi.SectorNumber, offset types.UnpaddedByteIndex, size abi.UnpaddedPieceSize, dest string) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.asked = append(m.asked, Unsealing{miner, piece, sector, offset, size, dest})
	return nil
}

// Ready returns once the hub has taken the connection.
func (m *Market) Ready(ctx context.Context) error {
	m.events.WaitReady(ctx)
	return ctx.Err()
}

// Asked tells what was asked for.
func (m *Market) Asked(context.Context) ([]Unsealing, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	return append([]Unsealing{}, m.asked...), nil
}
