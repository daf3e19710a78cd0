// Drives @filecoin-shipyard/lotus-client-rpc: node shipyard.mjs URL [TOKEN].  Prints what it understood as JSON.
import { LotusRPC } from '@filecoin-shipyard/lotus-client-rpc'
import { NodejsProvider } from '@filecoin-shipyard/lotus-client-provider-nodejs'
import { mainnet } from '@filecoin-shipyard/lotus-client-schema'

const [url, token] = process.argv.slice(2)
const provider = new NodejsProvider(url, token ? { token: async () => token } : {})
const client = new LotusRPC(provider, { schema: mainnet.fullNode })

const version = await client.version()
const head = await client.chainHead()
const info = await client.stateMinerInfo('f01000', [])
const refusal = await client.stateMinerInfo('f0999999', []).then(
  () => 'no error',
  (error) => error.message,
)
const frames = []
const notified = new Promise((resolve, reject) => {
  if (!url.startsWith('ws')) {
    resolve() // this client subscribes over WebSocket only
    return
  }
  const patience = setTimeout(() => reject(new Error(`${frames.length} frames only`)), 30000)
  const [stop] = client.chainNotify((changes) => {
    frames.push(changes.map((change) => ({ Type: change.Type, Height: change.Val.Height })))
    if (frames.length === 3) {
      clearTimeout(patience)
      stop()
      resolve()
    }
  })
})
await notified
await provider.destroy()
console.log(JSON.stringify({ version, head, info, refusal, frames }))
process.exit(0)
