"""`Message.*`: the messager's methods, so that its clients and its command line work against us unchanged.

Source: filecoin-project/venus venus-shared/api/messager/api.go; texts of sophon-messager.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from apps.api.rpc.dispatcher import Service
from apps.api.rpc.services.messager.changes import (
    clear_unfill_message,
    mark_bad_message,
    recover_failed_msg,
    replace_message,
    republish_message,
    update_all_filled_message,
    update_filled_message_by_id,
    update_message_state_by_id,
)
from apps.api.rpc.services.messager.fee_parameters import ACTOR_CFG, ADDRESS_SPEC, CHANGES, SHARED
from apps.api.rpc.services.messager.parameters import MESSAGE, NODE, QUERY, QUICK_SEND, REPLACEMENT, SPEC
from apps.api.rpc.services.messager.pushes import (
    push_message,
    push_message_with_id,
    send,
)
from apps.api.rpc.services.messager.reads import (
    get_message_by_from_and_nonce,
    get_message_by_signed_cid,
    get_message_by_uid,
    get_message_by_unsigned_cid,
    has_message_by_uid,
    list_blocked_message,
    list_failed_message,
    list_message,
    list_message_by_address,
    list_message_by_from_state,
    wait_message,
)
from apps.api.rpc.services.messager.rules import (
    delete_node,
    get_actor_cfg_by_id,
    get_node,
    get_shared_params,
    has_node,
    list_actor_cfg,
    list_node,
    log_list,
    net_addrs_listen,
    net_connect,
    net_find_peer,
    net_peers,
    save_actor_cfg,
    save_node,
    set_log_level,
    set_shared_params,
    update_actor_cfg,
    version,
)
from apps.api.rpc.services.messager.senders import (
    active_address,
    delete_address,
    forbidden_address,
    get_address,
    has_address,
    list_address,
    set_fee_params,
    set_select_msg_num,
    update_nonce,
    wallet_has,
)
from apps.api.rpc.services.messager.wallets import (
    WALLET,
    delete_wallet,
    get_wallet_address,
    get_wallet_by_id,
    get_wallet_by_name,
    has_wallet,
    has_wallet_address,
    list_remote_wallet_address,
    list_wallet,
    list_wallet_address,
    save_wallet,
)
from poolsite.wire.jsonrpc.parameters import ADDRESS, ANY, BOOL, CID, NUMBER, TEXT, UUID, RpcMethod

READ, WRITE, SIGN, ADMIN = "read", "write", "sign", "admin"
operators: Final = partial(RpcMethod, ADMIN, operator_only=True)
"""Rows about the whole pool: its rules, nodes and log."""

METHODS: Final[dict[str, RpcMethod]] = {
    "Message.PushMessage": RpcMethod(WRITE, push_message, (MESSAGE, SPEC)),
    "Message.PushMessageWithId": RpcMethod(WRITE, push_message_with_id, (TEXT, MESSAGE, SPEC)),
    "Message.Send": RpcMethod(SIGN, send, (QUICK_SEND,), asks_node=True),
    "Message.HasMessageByUid": RpcMethod(READ, has_message_by_uid, (TEXT,)),
    "Message.GetMessageByUid": RpcMethod(READ, get_message_by_uid, (TEXT,)),
    "Message.GetMessageBySignedCid": RpcMethod(READ, get_message_by_signed_cid, (CID,)),
    "Message.GetMessageByUnsignedCid": RpcMethod(READ, get_message_by_unsigned_cid, (CID,)),
    "Message.GetMessageByFromAndNonce": RpcMethod(READ, get_message_by_from_and_nonce, (ADDRESS, NUMBER)),
    "Message.WaitMessage": RpcMethod(READ, wait_message, (TEXT, NUMBER)),
    "Message.ListMessage": RpcMethod(READ, list_message, (QUERY,)),
    "Message.ListMessageByFromState": RpcMethod(
        ADMIN, list_message_by_from_state, (ADDRESS, NUMBER, BOOL, NUMBER, NUMBER, NUMBER)
    ),
    "Message.ListMessageByAddress": RpcMethod(ADMIN, list_message_by_address, (ADDRESS,)),
    "Message.ListFailedMessage": RpcMethod(READ, list_failed_message),
    "Message.ListBlockedMessage": RpcMethod(READ, list_blocked_message, (ADDRESS, NUMBER)),
    "Message.ReplaceMessage": RpcMethod(WRITE, replace_message, (REPLACEMENT,), asks_node=True),
    "Message.RepublishMessage": RpcMethod(ADMIN, republish_message, (TEXT,), void=True, asks_node=True),
    "Message.MarkBadMessage": RpcMethod(WRITE, mark_bad_message, (TEXT,), void=True),
    "Message.RecoverFailedMsg": RpcMethod(WRITE, recover_failed_msg, (ADDRESS,), asks_node=True),
    "Message.ClearUnFillMessage": RpcMethod(WRITE, clear_unfill_message, (ADDRESS,)),
    "Message.UpdateMessageStateByID": RpcMethod(
        WRITE, update_message_state_by_id, (TEXT, NUMBER), void=True, asks_node=True
    ),
    "Message.UpdateFilledMessageByID": RpcMethod(WRITE, update_filled_message_by_id, (TEXT,), is_long=True),
    "Message.UpdateAllFilledMessage": operators(update_all_filled_message, is_long=True),
    "Message.GetAddress": RpcMethod(READ, get_address, (ADDRESS,)),
    "Message.HasAddress": RpcMethod(READ, has_address, (ADDRESS,)),
    "Message.ListAddress": RpcMethod(READ, list_address),
    "Message.WalletHas": RpcMethod(READ, wallet_has, (ADDRESS,)),
    "Message.ForbiddenAddress": RpcMethod(WRITE, forbidden_address, (ADDRESS,), void=True),
    "Message.ActiveAddress": RpcMethod(WRITE, active_address, (ADDRESS,), void=True),
    "Message.DeleteAddress": RpcMethod(WRITE, delete_address, (ADDRESS,), void=True),
    "Message.SetSelectMsgNum": RpcMethod(WRITE, set_select_msg_num, (ADDRESS, NUMBER), void=True),
    "Message.SetFeeParams": RpcMethod(WRITE, set_fee_params, (ADDRESS_SPEC,), void=True),
    "Message.UpdateNonce": RpcMethod(ADMIN, update_nonce, (ADDRESS, NUMBER), void=True),
    "Message.GetSharedParams": RpcMethod(READ, get_shared_params),
    "Message.SetSharedParams": operators(set_shared_params, (SHARED,), void=True),
    "Message.SaveActorCfg": operators(save_actor_cfg, (ACTOR_CFG,), void=True),
    "Message.UpdateActorCfg": operators(update_actor_cfg, (UUID, CHANGES), void=True),
    "Message.ListActorCfg": RpcMethod(READ, list_actor_cfg),
    "Message.GetActorCfgByID": RpcMethod(READ, get_actor_cfg_by_id, (UUID,)),
    "Message.SaveNode": operators(save_node, (NODE,), void=True),
    "Message.GetNode": operators(get_node, (TEXT,)),
    "Message.HasNode": operators(has_node, (TEXT,)),
    "Message.ListNode": operators(list_node),
    "Message.DeleteNode": operators(delete_node, (TEXT,), void=True),
    "Message.SaveWallet": RpcMethod(ADMIN, save_wallet, (WALLET,)),
    "Message.GetWalletByName": RpcMethod(ADMIN, get_wallet_by_name, (TEXT,)),
    "Message.GetWalletByID": RpcMethod(ADMIN, get_wallet_by_id, (UUID,)),
    "Message.HasWallet": RpcMethod(ADMIN, has_wallet, (TEXT,)),
    "Message.ListWallet": RpcMethod(ADMIN, list_wallet),
    "Message.ListRemoteWalletAddress": RpcMethod(ADMIN, list_remote_wallet_address, (TEXT,)),
    "Message.DeleteWallet": RpcMethod(ADMIN, delete_wallet, (TEXT,)),
    "Message.GetWalletAddress": RpcMethod(ADMIN, get_wallet_address, (TEXT, ADDRESS)),
    "Message.HasWalletAddress": RpcMethod(READ, has_wallet_address, (TEXT, ADDRESS)),
    "Message.ListWalletAddress": RpcMethod(ADMIN, list_wallet_address),
    "Message.NetPeers": operators(net_peers),
    "Message.NetAddrsListen": operators(net_addrs_listen),
    "Message.NetFindPeer": operators(net_find_peer, (TEXT,)),
    "Message.NetConnect": operators(net_connect, (ANY,), void=True),
    "Message.SetLogLevel": operators(set_log_level, (TEXT, TEXT), void=True),
    "Message.LogList": operators(log_list),
    "Message.Version": RpcMethod(READ, version),
}
"""Every method of the messager.  Those about its libp2p host say that there is none."""

MESSAGER: Final = Service(METHODS, {})
