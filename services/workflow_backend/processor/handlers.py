"""What is done with a claimed item."""

from ..items import Item
from .journal import Result


async def echo(item: Item) -> Result:
    """Complete the item with its own payload as the result."""
    return Result(completed=True, text=item.payload_uri)
