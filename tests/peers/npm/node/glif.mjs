// Drives @glif/filecoin-rpc-client: node glif.mjs URL [TOKEN].  Prints what it understood as JSON.
import client from '@glif/filecoin-rpc-client'

const [url, token] = process.argv.slice(2)
const LotusRpcEngine = client.default ?? client
const engine = new LotusRpcEngine({ apiAddress: url, ...(token ? { token } : {}) })
const version = await engine.request('Version')
const head = await engine.request('ChainHead')
const balance = await engine.request('WalletBalance', 'f01000')
const refusal = await engine.request('StateMinerInfo', 'f0999999', null).then(
  () => 'no error',
  (error) => error.message,
)
console.log(JSON.stringify({ version, head, balance, refusal }))
