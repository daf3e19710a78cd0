"""Code CIDs of the actors: what StateGetActor shows and Exec takes.

Source: builtin-actors v18 bundle `testing`, as a lotus 2k node lists it in StateActorCodeCIDs.
"""

from __future__ import annotations

from typing import Final

from poolsite.filecoin.cids import Cid, cid_parse

CODES: Final[dict[str, Cid]] = {
    "account": cid_parse("bafk2bzaceb7qdzbji4msh3tyi3hqylly3ao77svv2243sjzwssfxo6dzdhxmc"),
    "cron": cid_parse("bafk2bzaceaj2gxrxect3osfwralk7ndhz3rzy7ybz3rlxdnqmgfjm7o47n7sm"),
    "datacap": cid_parse("bafk2bzacedir2w4opuf2nflnrlb7cfaqgjzldgr4qdyjli775s2wpr2cp32hi"),
    "eam": cid_parse("bafk2bzacebz2jhqgfkzetygd5lqflcc5gm2dtmvcduq4khcgeyem5c4fcsn4y"),
    "ethaccount": cid_parse("bafk2bzaceaje5z7bxpbjo2befurw4rrsrhlwfnj7ps45tzshwcczha74cizno"),
    "evm": cid_parse("bafk2bzacedbb2edt6kzzlochq4xahrffxnshghiwfa45xfyi6nfcvjojso5lc"),
    "init": cid_parse("bafk2bzacecvhl2ub56olwpxkfn466mllt4rlzcpwfjwo24m72myq4rmsmp3jm"),
    "multisig": cid_parse("bafk2bzaceblkw552meemag3a6hmdlk4jjrmbfnvtfrvmmd6nvafuiwxnu3jck"),
    "paymentchannel": cid_parse("bafk2bzacebt2bhrmo55gkdeyil5bdmy5xo2i6ga4uyvriw7yiqsslro6gpco2"),
    "placeholder": cid_parse("bafk2bzacedfvut2myeleyq67fljcrw4kkmn5pb5dpyozovj7jpoez5irnc3ro"),
    "reward": cid_parse("bafk2bzaceadirgwrviw62skqu32xp4ddozk44gmkb7jh4fas6ppzg2edzpguo"),
    "storagemarket": cid_parse("bafk2bzacecp7lzrz7uvvn7jhi3frgq2xbd3fc2zlk2xrrqkdcpnp4iibwkdr4"),
    "storageminer": cid_parse("bafk2bzaceaxfll3kmvqwq2bsyxpo5esfmmvdjjkuwk4ddp3rfveguri3j3or4"),
    "storagepower": cid_parse("bafk2bzacebfp3mye2ic3gzmqfsipwci5jekkzbud5tdqb47gvwqhucd6nlnkk"),
    "system": cid_parse("bafk2bzaceboflgwz425do6punhi4rdeqryc7vf7bf4cjabivzyieki5jqnc3i"),
    "verifiedregistry": cid_parse("bafk2bzacebdwdxvflbvdroevz6jwfr62jffxyi4xdrw6ezirgatqqa3sd2vbc"),
}
"""Code of each kind of actor."""

KIND_BY_CODE: Final = {code: kind for kind, code in CODES.items()}
