// Drives @zondax/filecoin-signing-tools: node zondax.cjs PRIVATE-KEY-BASE64 MESSAGE-JSON.  Prints JSON.
const tools = require('@zondax/filecoin-signing-tools')

const [secret, text] = process.argv.slice(2)
const message = JSON.parse(text)
const key = tools.keyRecover(secret, false)
const serialized = tools.transactionSerialize(message)
const signed = tools.transactionSignLotus(message, secret)
const parsed = tools.transactionParse(serialized, false)
console.log(JSON.stringify({ address: key.address, serialized, signed, parsed }))
