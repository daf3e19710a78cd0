"""Code CIDs of the actors: what StateGetActor shows and Exec takes.

Source: builtin-actors v18 bundle `devnet`, by which lotus and venus know the actors of a small network
(venus venus-shared/actors/builtin_actors_gen.go): so their command lines can name methods.
"""

from __future__ import annotations

from typing import Final

from poolsite.filecoin.cids import Cid, cid_parse

CODES: Final[dict[str, Cid]] = {
    "account": cid_parse("bafk2bzacedpmhtrp2kdjoga2phrbi3f7z7wn25s3tluxoagcu7hsg2ppktxbw"),
    "cron": cid_parse("bafk2bzacedrv5m6tczd6dz6ly3zmenkljnokovduvgkbmgxvsawbalerciieg"),
    "datacap": cid_parse("bafk2bzaceamho7atkl2a7c3m3t24v6tf3wzceaewp3ph6rjmwza3xdy3gmqb6"),
    "eam": cid_parse("bafk2bzaceaxpy4ilqlibpgytnt5ucmju2ooi3bqwca6dngwy6hlzmshyjpafw"),
    "ethaccount": cid_parse("bafk2bzacedsbwrrjywdmxeluuzwfhmam2jmrm6ivj72ggw6qaijcx7ilw5fvk"),
    "evm": cid_parse("bafk2bzacec273j42hyrcaeqms6xuuezkozjhptmyniwtr7y4jzjdoflccn2is"),
    "init": cid_parse("bafk2bzaced23vlf6nemlulavy2ouxuvudxe3jbu4klc74tcgruafrqu2fnt3c"),
    "multisig": cid_parse("bafk2bzacecquc4zxikmjfwsiyzx4tbxlsvauf53c7spf3hdz6jwmkczyqwbrg"),
    "paymentchannel": cid_parse("bafk2bzacecf3jaqzs757hmyxpthnj7vaxr2z6h5v6yubptvqasgabxiubeoim"),
    "placeholder": cid_parse("bafk2bzacedfvut2myeleyq67fljcrw4kkmn5pb5dpyozovj7jpoez5irnc3ro"),
    "reward": cid_parse("bafk2bzacedchalmz2omgitfunbqg5opzcvrlvju77k6dr5zt2poyy7jjzkvwa"),
    "storagemarket": cid_parse("bafk2bzacecjrg6jueodndhwtkaa3n2v2tkjakmzu4c57hrhg5ige4d4kjggcg"),
    "storageminer": cid_parse("bafk2bzacedhvcxgdz2w75izwa5s5dwvsrxsnzkjcbpbresziyrrjrsvjzwvxe"),
    "storagepower": cid_parse("bafk2bzacebydegz3ap6xgejojdu3usfddhyrj476f25ooahgcqko6d7djynas"),
    "system": cid_parse("bafk2bzacedced5maxljwmavukjvtnmknpzoullfcwk3upaz5x5hvvdl2pk24e"),
    "verifiedregistry": cid_parse("bafk2bzaceccqnqgyehy72nkmujvpyibikslvpyxfhpqivzjmbkmdbme5xzm2u"),
}
"""Code of each kind of actor."""

TESTING_CODES: Final[dict[str, Cid]] = {
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
"""The same actors in the bundle `testing`: messages and questions of recorded nodes name these."""

KIND_BY_CODE: Final = {code: kind for codes in (TESTING_CODES, CODES) for kind, code in codes.items()}
