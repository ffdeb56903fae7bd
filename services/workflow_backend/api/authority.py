"""The contract's own record of an item as answers show it."""

from ..errors import ProjectionMismatch, ProjectionUnavailable
from ..items import Item
from ..times import parse
from . import records
from .backend import Backend
from .models import ItemRecord


async def chain_item(used: Backend, item: Item) -> ItemRecord:
    """Return the contract's record; raises NodeUnavailable."""
    created, updated = parse(item.created_at), parse(item.updated_at)
    committed = {each: await _committed_at(used, each) for each in {created, updated}}
    return records.item(item.as_dict(), committed[created], committed[updated])


async def _committed_at(used: Backend, contract_time: str) -> str:
    try:
        block = await used.store.block_in_which_it_was(contract_time)
    except ProjectionMismatch, ProjectionUnavailable:
        block = None
    return block.time if block else await used.blocks.committed_at(contract_time)
