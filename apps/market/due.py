"""Queries by which the follower decides whether deals have work: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

_TERM_OVER: Final = "deal.chain_deal IS NOT NULL AND deal.start_epoch + deal.duration <= $1"
"""The market actor has paid a deal to its end and forgotten it, though its sector may live longer."""

_MOVED: Final = f"""(
    deal.state IN ('VERIFIED', 'SEALING', 'ACTIVE') AND deal.state IS DISTINCT FROM
        CASE piece.state WHEN 'READY' THEN 'VERIFIED' WHEN 'PACKED' THEN 'SEALING' ELSE piece.state END
    OR deal.state = 'ENDED' AND piece.state IN ('PACKED', 'ACTIVE')
        AND piece.sector_number = deal.sector_number AND ({_TERM_OVER}) IS NOT TRUE
)"""
"""A deal's piece has gone on."""

_AWAITED: Final = """(
    deal.start_epoch <= $1 OR deal.data_until <= $2
    OR deal.state = 'TRANSFERRING' AND coalesce(piece.state, '') NOT IN ('UPLOADING', 'FETCHING', 'RECEIVED')
    OR deal.state = 'ACCEPTED' AND (
        deal.source = 'http' OR deal.piece_id IS NOT NULL
        OR EXISTS (SELECT 1 FROM pieces_piece held WHERE held.held_for = deal.uuid)
        OR EXISTS (SELECT 1 FROM pieces_piece same WHERE same.piece_cid <> ''
            AND same.piece_cid = deal.piece_cid AND same.miner_id = deal.miner_id)
    )
)"""
"""A deal without data is late, can be fetched or put together, or its data may have come another way."""

FOLLOWED: Final = f"""
    SELECT id FROM market_deal WHERE state = 'UNPUBLISHED'
    UNION SELECT deal.id FROM market_deal deal LEFT JOIN pieces_piece piece ON piece.id = deal.piece_id
        WHERE deal.state IN ('ACCEPTED', 'TRANSFERRING') AND {_AWAITED}
    UNION SELECT deal.id FROM pieces_piece piece JOIN market_deal deal ON deal.piece_id = piece.id
        WHERE piece.state = 'HELD' AND deal.state = 'FAILED'
    UNION SELECT deal.id FROM market_deal deal LEFT JOIN pieces_piece piece ON piece.id = deal.piece_id
        WHERE deal.state IN ('VERIFIED', 'SEALING') AND {_MOVED}
    UNION SELECT id FROM market_deal WHERE state = 'ACTIVE' AND piece_id IS NULL
    UNION SELECT deal.id FROM market_deal deal WHERE deal.state = 'ACTIVE' AND {_TERM_OVER}
    UNION SELECT deal.id FROM pieces_piece piece JOIN market_deal deal ON deal.piece_id = piece.id
        WHERE piece.state_since > $2::timestamptz - interval '1 day' AND {_MOVED}
"""  # noqa: S608  # constants
"""Keys of the deals whose data are to come, or whose piece has gone on within a day."""

ALL_MOVED: Final = f"""
    SELECT deal.id FROM market_deal deal LEFT JOIN pieces_piece piece ON piece.id = deal.piece_id
        WHERE {_MOVED}
"""  # noqa: S608  # constants
"""The same of pieces that have gone on at any time: it reads all deals that were ever active."""

DEALS: Final = f"""
    SELECT 1 FROM market_deal WHERE state = 'PUBLISHING'
    UNION ALL SELECT 1 FROM ({FOLLOWED}) followed
"""  # noqa: S608  # constants
"""Data of a deal are to come, it is to be published, or its piece has gone on."""

JOINS: Final = """
    SELECT 1 FROM market_deal WHERE is_whole AND state IN ('ACCEPTED', 'TRANSFERRING') LIMIT 1
"""
"""The chunks of an upload are all here."""

ADVERTISEMENTS: Final = """
    SELECT 1 FROM market_adchain chain
        JOIN market_minerdoor door ON door.peer_id = chain.peer_id AND door.miner_id = chain.miner_id
        JOIN miners_miner miner ON miner.id = chain.miner_id AND miner.state = 'ACTIVE'
        JOIN market_minermarket market ON market.miner_id = chain.miner_id
        CROSS JOIN LATERAL unnest(market.indexers) AS indexer(url)
        LEFT JOIN market_indexeranswer answer ON answer.chain_id = chain.id AND answer.url = indexer.url
        WHERE chain.head <> '' AND answer.head IS DISTINCT FROM chain.head
        LIMIT 1
"""
"""An indexer was not told of a new head.  What is to be advertised, and who refused, is seen when every step
is sent."""
