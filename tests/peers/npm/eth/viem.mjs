// Drives viem: node viem.mjs URL SOCKET PRIVATE_KEY RECEIVER [TOKEN].  Prints what it understood as JSON.
import { createPublicClient, createWalletClient, defineChain, http, webSocket } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const [url, socketAt, key, receiver, token] = process.argv.slice(2)
const fetchOptions = token ? { headers: { Authorization: `Bearer ${token}` } } : {}
const transport = http(url, { fetchOptions })
const id = await createPublicClient({ transport }).getChainId()
const chain = defineChain({
  id,
  name: 'devnet',
  nativeCurrency: { name: 'FIL', symbol: 'FIL', decimals: 18 },
  rpcUrls: { default: { http: [url] } },
})
const account = privateKeyToAccount(key)
const client = createPublicClient({ chain, transport, pollingInterval: 200 })
const wallet = createWalletClient({ account, chain, transport })
const text = (value) => JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item))

const heads = await client.createBlockFilter()
const pending = await client.createPendingTransactionFilter()
const hash = await wallet.sendTransaction({ to: receiver, value: 11n })
const seen = await client.getFilterChanges({ filter: pending })
const receipt = await client.waitForTransactionReceipt({ hash })
const history = await client.getFeeHistory({ blockCount: 4, rewardPercentiles: [25, 75] })
const socketUrl = socketAt + (token ? `?token=${token}` : '')
const followed = createPublicClient({ chain, transport: webSocket(socketUrl, { reconnect: false }) })
const blocks = []
await new Promise((done, fail) => {
  followed.watchBlocks({
    onBlock: (block) => {
      blocks.push(block.number)
      if (blocks.length === 2) done()
    },
    onError: fail,
  })
})
console.log(
  text({
    id,
    address: account.address,
    hash,
    seen,
    status: receipt.status,
    kind: receipt.type,
    to: receipt.to,
    code: (await client.getCode({ address: receiver })) ?? null,
    fees: history.baseFeePerGas.length,
    rewards: history.reward.map((row) => row.length),
    heads: (await client.getFilterChanges({ filter: heads })).length,
    gone: await client.uninstallFilter({ filter: heads }),
    blocks,
  }),
)
process.exit(0)
