"""What a transaction came to whose answer can't be had: the items' own records tell."""

from ..items import Outcome
from .contract import effect
from .node import Node
from .tickets import Sent, Ticket


async def settle_by_record(node: Node, account: str, transaction: Sent) -> list[Ticket]:
    """Settle what had an effect, or can't have one any more; return what is to be done again.

    The transaction must be one that can't come into a block any more: the chain's nonce has passed
    it, or the chain was restored to before it.
    """
    ids = [ticket.action.item_id for ticket in transaction.tickets]
    again = []
    for ticket, item in zip(transaction.tickets, await node.items(ids), strict=True):
        judged = effect(ticket.action, item, account)
        if judged is None:
            again.append(ticket)
            continue
        code, message = judged
        ticket.settle(
            Outcome(
                item_id=ticket.action.item_id,
                code=code,
                message=message,
                attempt=item.attempt if item else 0,
                item=item if code == "ok" else None,
                tx_hash=transaction.signed.tx_hash,
                height=0,
            )
        )
    return again
