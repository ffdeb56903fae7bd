"""The contract's own record of an item, as answers show it."""

from ..errors import ProjectionMismatch, ProjectionUnavailable
from ..items import Item
from ..times import parse
from . import records
from .backend import Backend
from .models import ItemRecord


async def chain_item(backend: Backend, item: Item) -> ItemRecord:
    """Return the contract's record with the times of its blocks; raises NodeUnavailable."""
    if not item.created_at:  # an archived item of which nobody has the record any more
        return records.item(item.as_dict(), None, None)
    created, updated = parse(item.created_at), parse(item.updated_at)
    committed = {each: await _committed_at(backend, each) for each in {created, updated}}
    return records.item(item.as_dict(), committed[created], committed[updated])


async def _committed_at(backend: Backend, contract_time: str) -> str:
    try:
        block = await backend.store.block_at_contract_time(contract_time)
    except ProjectionMismatch, ProjectionUnavailable:
        block = None
    return block.time if block else await backend.blocks.committed_at(contract_time)
