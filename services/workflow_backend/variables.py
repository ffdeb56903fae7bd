"""Parsers for environment variables; each raises SettingError, which names the variable.

`what` is the expectation in words, for the message.
"""

import math
import re
import shlex
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from .errors import SettingError

_ACCOUNT = re.compile(r"[0-9a-f]{64}")
_DIGITS = re.compile(r"[0-9]{1,9}")


def required(env: Mapping[str, str], name: str, what: str) -> str:
    """Return a mandatory value."""
    value = env.get(name, "").strip()
    if not value:
        raise SettingError(f"{name} is not set: give {what}")
    return value


def matching(
    env: Mapping[str, str], name: str, default: str, pattern: re.Pattern[str], what: str
) -> str:
    """Return a value that matches a pattern as a whole."""
    value = env.get(name, default)
    if not pattern.fullmatch(value):
        raise SettingError(f"{name} must {what}, it is {value!r}")
    return value


def parts(env: Mapping[str, str], name: str) -> list[str]:
    """Return the parts of a comma-separated list."""
    return [part.strip() for part in env.get(name, "").split(",") if part.strip()]


def matching_parts(
    env: Mapping[str, str], name: str, pattern: re.Pattern[str], what: str
) -> tuple[str, ...]:
    """Return the distinct parts of a comma-separated list, which all match a pattern."""
    found = parts(env, name)
    for part in found:
        if not pattern.fullmatch(part):
            raise SettingError(f"{name} must be {what}, separated by commas, one is {part!r}")
    return tuple(dict.fromkeys(found))


def accounts(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return a list of distinct public keys."""
    what = "public keys of 64 lower-case hexadecimal digits"
    return matching_parts(env, name, _ACCOUNT, what)


def networks(env: Mapping[str, str], name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return a list of networks; an address is a network of one."""
    found = []
    for part in parts(env, name):
        try:
            found.append(ip_network(part))
        except ValueError:
            raise SettingError(
                f"{name} must be addresses or networks such as 192.0.2.7 or 10.0.0.0/8, separated "
                f"by commas, one is {part!r}"
            ) from None
    return tuple(found)


def seconds(env: Mapping[str, str], name: str, default: int, smallest: int, largest: int) -> float:
    """Return whole seconds within bounds."""
    text = env.get(name, str(default))
    if not _DIGITS.fullmatch(text) or not smallest <= int(text) <= largest:
        raise SettingError(
            f"{name} must be whole seconds from {smallest} to {largest}, it is {text!r}"
        )
    return float(text)


def positive(env: Mapping[str, str], name: str, default: float) -> float:
    """Return a number above 0."""
    value = env.get(name, str(default))
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise SettingError(f"{name} must be a number above 0, it is {value!r}")
    return number


def port(env: Mapping[str, str], name: str, default: int) -> int:
    """Return a port."""
    value = env.get(name, str(default))
    if not _DIGITS.fullmatch(value) or not 0 < int(value) < 65536:
        raise SettingError(f"{name} must be a port from 1 to 65535, it is {value!r}")
    return int(value)


def url(env: Mapping[str, str], name: str, default: str) -> str:
    """Return an http:// or https:// URL without a trailing slash."""
    value = env.get(name, default).rstrip("/")
    try:
        parsed = urlsplit(value)
        valid = parsed.scheme in {"http", "https"} and parsed.hostname and parsed.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise SettingError(f"{name} must be an http:// or https:// address, it is {value!r}")
    return value


def path(env: Mapping[str, str], name: str) -> Path | None:
    """Return a path, None if it is not set."""
    value = env.get(name, "")
    return Path(value) if value else None


def ssh(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the words of an ssh command with its host, none if it is not set."""
    value = env.get(name, "")
    try:
        words = tuple(shlex.split(value))
    except ValueError:
        words = ("",)
    if len(words) == 1:
        raise SettingError(
            f"{name} must be a command in the quoting of a shell that ends with the host, such as "
            f"ssh root@node, it is {value!r}"
        )
    return words
