// Drives iso-filecoin: node iso.mjs URL TOKEN PRIVATE-KEY-HEX TO VALUE.  Sends from the key's address, waits
// for the receipt, and prints what it understood as JSON.
import { RPC } from 'iso-filecoin/rpc'
import * as Wallet from 'iso-filecoin/wallet'
import { Message } from 'iso-filecoin/message'
import { hex } from 'iso-base/rfc4648'

const [url, token, secret, to, value] = process.argv.slice(2)
const rpc = new RPC({ api: url, ...(token ? { token } : {}), network: 'mainnet' }, { timeout: 30000 })

function good({ result, error }) {
  if (error) {
    throw error
  }
  return result
}

const account = Wallet.accountFromPrivateKey(hex.decode(secret), 'SECP256K1', 'mainnet')
const from = account.address.toString()
const version = good(await rpc.version())
const networkName = good(await rpc.networkName())
const balance = good(await rpc.balance(from))
const nonce = good(await rpc.nonce(from))
const key = good(await rpc.stateAccountKey({ address: from }))
const message = await new Message({ from, to, value }).prepare(rpc)
const signature = Wallet.signMessage(account.privateKey, 'SECP256K1', message)
const cid = good(await rpc.pushMessage({ msg: message, signature }))
const lookup = good(await rpc.waitMsg({ cid, confidence: 1 }))
const head = good(await rpc.chainHead())
const refused = await rpc.pushMessage({ msg: message, signature })
const exported = Wallet.accountToLotus(account)
console.log(
  JSON.stringify({
    from, version, networkName, balance, nonce, key, cid, lookup, exported,
    message: message.toLotus(), height: head.Height, refused: refused.error?.message ?? '',
  }),
)
