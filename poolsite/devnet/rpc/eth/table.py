"""The methods for Ethereum tools, under Filecoin's names and under Ethereum's.

Source: lotus api/proxy_gen.go (levels), api/eth_aliases.go (which have both names).  Served is what
wallets of Ethereum keys and the libraries ethers and viem ask for; no traces, no contracts.
"""

from __future__ import annotations

from typing import Final

from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.dispatch import Method
from poolsite.devnet.rpc.eth import (
    accounts,
    blocks,
    fees,
    filters,
    network,
    transactions,
)
from poolsite.devnet.rpc.eth.readers import (
    ADDRESS,
    BLOCK,
    BYTES,
    CALL,
    FILTER,
    FILTER_ID,
    HASH,
    SUBSCRIPTION_ID,
)

HASH_OR_NULL: Final = p.optional(HASH)
SPEC_OR_NULL: Final = p.optional(FILTER)

ALIASED: Final = (
    Method("EthBlockNumber", "read", (), blocks.block_number),
    Method("EthGetBlockByHash", "read", (HASH, p.BOOL), blocks.block_by_hash, slow=True),
    Method("EthGetBlockByNumber", "read", (p.TEXT, p.BOOL), blocks.block_by_number, slow=True),
    Method("EthGetTransactionByHash", "read", (HASH_OR_NULL,), transactions.by_transaction_hash),
    Method("EthGetTransactionCount", "read", (ADDRESS, BLOCK), accounts.transaction_count),
    Method("EthGetTransactionReceipt", "read", (HASH,), transactions.receipt),
    Method("EthGetCode", "read", (ADDRESS, BLOCK), accounts.code),
    Method("EthGetBalance", "read", (ADDRESS, BLOCK), accounts.balance),
    Method("EthChainId", "read", (), network.chain_id),
    Method("EthFeeHistory", "read", (), fees.fee_history, slow=True, raw=True),
    Method("EthMaxPriorityFeePerGas", "read", (), fees.max_priority_fee),
    Method("EthGasPrice", "read", (), fees.gas_price),
    Method("EthSendRawTransaction", "read", (BYTES,), transactions.send_raw, slow=True),
    Method("EthEstimateGas", "read", (), fees.estimate_gas, slow=True, raw=True),
    Method("EthCall", "read", (CALL, BLOCK), fees.eth_call, slow=True),
    Method("EthGetLogs", "read", (SPEC_OR_NULL,), filters.get_logs),
    Method("EthGetFilterChanges", "read", (FILTER_ID,), filters.filter_changes),
    Method("EthNewBlockFilter", "read", (), filters.new_block_filter),
    Method("EthNewPendingTransactionFilter", "read", (), filters.new_pending_filter),
    Method("EthUninstallFilter", "read", (FILTER_ID,), filters.uninstall_filter),
    Method("EthSubscribe", "read", (), filters.subscribe, raw=True, callbacks=True),
    Method("EthUnsubscribe", "read", (SUBSCRIPTION_ID,), filters.unsubscribe),
    Method("NetVersion", "read", (), network.net_version),
    Method("Web3ClientVersion", "read", (), network.client_version),
)
"""Those that Ethereum's names reach, too."""
FILECOIN: Final = (
    Method("EthAddressToFilecoinAddress", "read", (ADDRESS,), accounts.to_filecoin),
    Method("FilecoinAddressToEthAddress", "read", (), accounts.to_eth, raw=True),
    Method("EthGetMessageCidByTransactionHash", "read", (HASH_OR_NULL,), transactions.cid_by_hash),
    Method("EthGetTransactionHashByCid", "read", (p.CID,), transactions.hash_by_cid),
)
"""Those that have Filecoin's names only."""


def ethereum_name(name: str) -> str:
    """`EthChainId` is also `eth_chainId`, `NetVersion` also `net_version`, `Web3ClientVersion` likewise."""
    prefix = next(namespace for namespace in ("Eth", "Net", "Web3") if name.startswith(namespace))
    method = name.removeprefix(prefix)
    return f"{prefix.lower()}_{method[0].lower()}{method[1:]}"
