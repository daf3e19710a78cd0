// Drives ethers: node ethers.mjs URL SOCKET PRIVATE_KEY RECEIVER MINER [TOKEN].  Prints what it understood as JSON.
import { FetchRequest, JsonRpcProvider, Wallet, WebSocketProvider, parseEther } from 'ethers'

const [url, socketUrl, key, receiver, miner, token] = process.argv.slice(2)
const request = new FetchRequest(url)
if (token) request.setHeader('Authorization', `Bearer ${token}`)
const provider = new JsonRpcProvider(request, undefined, { pollingInterval: 200, cacheTimeout: -1 })
const wallet = new Wallet(key, provider)
const text = (value) => JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item))

const network = await provider.getNetwork()
const fees = await provider.getFeeData()
const balance = await provider.getBalance(wallet.address)
const estimate = await wallet.estimateGas({ to: receiver, value: 1n })
const sent = await wallet.sendTransaction({ to: receiver, value: parseEther('0.5') })
const receipt = await sent.wait()
const mined = await provider.getTransaction(sent.hash)
const old = await wallet.sendTransaction({ to: receiver, value: 7n, type: 0 })
const oldReceipt = await old.wait()
const block = await provider.getBlock(receipt.blockHash, true)
const refused = await provider.call({ to: miner, data: '0x01' }).then(
  () => 'no error',
  (error) => ({ code: error.code, message: error.info?.error?.message ?? error.message, data: error.data }),
)
const spent = await wallet.sendTransaction({ to: receiver, value: 1n, nonce: 0 }).then(
  () => 'no error',
  (error) => error.info?.error?.message ?? error.message,
)
const logs = await provider.getLogs({ fromBlock: 'latest' })

const socket = new WebSocketProvider(socketUrl + (token ? `?token=${token}` : ''))
const heights = []
await new Promise((done) =>
  socket.on('block', (height) => {
    heights.push(height)
    if (heights.length === 2) done()
  }),
)
console.log(
  text({
    chainId: network.chainId,
    address: wallet.address,
    balance,
    estimate,
    maxFee: fees.maxFeePerGas,
    hash: sent.hash,
    status: receipt.status,
    gasUsed: receipt.gasUsed,
    price: receipt.gasPrice,
    blockNumber: receipt.blockNumber,
    minedBlock: mined.blockNumber,
    value: mined.value,
    kinds: [mined.type, (await provider.getTransaction(old.hash)).type],
    oldStatus: oldReceipt.status,
    inBlock: block.prefetchedTransactions.map((one) => one.hash).includes(sent.hash),
    received: await provider.getBalance(receiver),
    nonce: await provider.getTransactionCount(wallet.address, 'pending'),
    refused,
    spent,
    logs: logs.length,
    heights,
  }),
)
await socket.destroy()
provider.destroy()
