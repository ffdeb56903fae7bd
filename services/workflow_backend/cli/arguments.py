"""What may be given to a command: anything else is refused before it runs."""

import argparse
import math
import re

_ITEM_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_KIND = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ACCOUNT = re.compile(r"[0-9a-f]{64}")
_LONGEST_WAIT = 86400 * 366.0
_MOST_ITEMS = 500
_LONGEST_TEXT = 4096


def item_id(text: str) -> str:
    """Return an item's id, as the contract takes it."""
    if not _ITEM_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"an item's id is 1 to 128 letters, digits, _ and -, not {text!r}"
        )
    return text


def account(text: str) -> str:
    """Return an account's public key, in lower case."""
    found = text.lower()
    if not _ACCOUNT.fullmatch(found):
        raise argparse.ArgumentTypeError(
            f"an account is a public key of 64 hexadecimal digits, not {text!r}"
        )
    return found


def plain_text(text: str) -> str:
    """Return a text that UTF-8 can hold, of at most 4,096 characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"it is not UTF-8: {text!r}") from None
    if len(text) > _LONGEST_TEXT:
        raise argparse.ArgumentTypeError(f"it is longer than {_LONGEST_TEXT} characters")
    return text


def seconds(text: str) -> float:
    """Return a number of seconds, from 0 to a year."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"it is a number of seconds up to a year, not {text!r}")
    return number


def page_size(text: str) -> int:
    """Return how many items the API is asked for at once."""
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= _MOST_ITEMS):
        raise argparse.ArgumentTypeError(f"it is a number from 1 to {_MOST_ITEMS}, not {text!r}")
    return int(text)


def count(text: str) -> int:
    """Return how many of something stay, from 0 to 9,999."""
    if not (text.isascii() and text.isdigit() and len(text) < 5):
        raise argparse.ArgumentTypeError(f"it is a number from 0 to 9999, not {text!r}")
    return int(text)


def priority(text: str) -> int:
    """Return a priority, 0 (first) to 9."""
    if len(text) != 1 or text not in "0123456789":
        raise argparse.ArgumentTypeError(f"a priority is a number from 0 to 9, not {text!r}")
    return int(text)


def kind(text: str) -> str:
    """Return a kind of items, or * for all of them."""
    if text != "*" and not _KIND.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"a kind is * or 1 to 64 letters, digits, _ and -, not {text!r}"
        )
    return text
