"""A block on an idle chain: a transaction that does nothing makes its validators produce one."""

import secrets
from base64 import b64encode

from xian_py import Wallet
from xian_py.transaction import create_tx, prepare_transaction

from ...chain.cometbft import CometBft
from ...errors import WorkflowError
from ...printable import printable
from ..network.peers import Peer

CHI = 10_000

_REASON_CHARACTERS = 300


async def request_block(peer: Peer, chain_id: str) -> str:
    """Send a transaction that does nothing, so that a block is made; return why it is refused.

    It is signed with a key that is thrown away: it moves nothing, and needs no right. Nodes refuse
    it on a chain whose transactions are paid for.
    """
    wallet = Wallet()
    transaction = create_tx(
        {
            "chain_id": chain_id,
            "contract": "currency",
            "function": "transfer",
            "kwargs": {"amount": 1, "to": secrets.token_hex(32)},
            "nonce": 0,
            "chi_supplied": CHI,
            "sender": wallet.public_key,
        },
        wallet,
    )
    encoded = b64encode(prepare_transaction(transaction).submitted_bytes).decode()
    try:
        async with CometBft.of_peer(peer.url) as node:
            answer = await node.broadcast(encoded)
    except WorkflowError as error:
        return str(error)
    return "" if answer.code == 0 else printable(str(answer.log)[:_REASON_CHARACTERS])
