"""Caches what the app computes anew for each transaction from its contract's IR.

A contract stands in the state as IR, JSON of a few hundred KB. For each transaction the app reads
that text twice, parses it twice and writes it once more; the VM parses what was written, and writes
and parses it again. The cache keeps the text, the parsed IR, and a shorter text of it for the VM,
which the VM parses once:

- What was read from the disk is decoded once. The app keeps what it decoded for six hours after it
  wrote it, and after a start not at all.
- The VM is given no bundle of contracts. It asks its host for the text of one that it lacks.
- The shorter text says nothing of the lines and columns in the source. The VM checks that they are
  there and never reads them.

The cache is keyed by what it was given, not by the contract's name, so a contract that is deployed,
fails to be, or is replaced by a state patch needs no care. It takes only what the VM accepts, so
that the VM's refusals, which tell of a place in the text, are of the text in the state. Whatever
else the app does with a contract (which features it may use, what it imports, what it costs) is
done as before.

A parsed IR is shared by all transactions: the app reads it and changes nothing in it.

The cache knows three modules of the app by the digest of their source, and the VM by its version.
The app starts without the cache where one of them is another.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import xian_vm_core
from cachetools import LRUCache
from contracting.storage import lmdb_store
from xian import execution_engine

from workflow_backend_node import logs

LIMIT = 4 * 1024 * 1024
"""Characters of IR that are kept; with its results, it takes eight times as many bytes."""

SHORT = 1024
"""Bytes of a value that are as soon decoded as they are looked for."""

WRITTEN_FOR = {
    "xian.execution_engine": "a69fbc43a01d9725df5e66ed9f12164be1d73d8d580eaa86878b3bb8d0c27e69",
    "xian_vm_core": "b179e438ee86ad8f7e43d6b462774c04f7465551cd6209dd7abcbec9a762fcae",
    "contracting.storage.lmdb_store": (
        "7b487c8f020af7aafb8ef53e8e1d31c693acd293e40d8e597a6b93c2bfc76f32"
    ),
    "xian-tech-vm-core": "0.1.2",
}
"""The modules in which functions are replaced, by the SHA-256 of their source; the VM's version."""

_POSITION = {"line", "col", "end_line", "end_col"}
_SHORTEST = [1, 0, 1, 0]  # the VM takes it for the object that it stands for


class ParsedIr(dict[str, Any]):
    """A contract's IR; `for_vm` is its text without source positions, `size` that of the whole."""

    def __init__(self, text: str) -> None:
        super().__init__(json.loads(text))
        self.size = len(text)
        shorter = _without_positions(dict(self))
        self.for_vm = json.dumps(shorter, separators=(",", ":"), sort_keys=True)


_decoded: LRUCache[bytes, str] = LRUCache(LIMIT, getsizeof=len)
_parsed: LRUCache[str, ParsedIr] = LRUCache(LIMIT, getsizeof=lambda ir: ir.size)


def install() -> None:
    """Let the app use the cache in this process; say so where it can't."""
    modules = (execution_engine, xian_vm_core, lmdb_store)
    installed = {module.__name__: _digest(module) for module in modules}
    installed["xian-tech-vm-core"] = version("xian-tech-vm-core")
    for name, expected in WRITTEN_FOR.items():
        if installed[name] != expected:
            logs.say(
                "warning",
                f"the app starts without the cache of contracts' IR, which makes it faster and "
                f"changes nothing else: {name} is not the version that the cache is written for",
            )
            return
    # The first parses IR and nothing else; the second parses and writes other JSON, too.
    execution_engine.json = SimpleNamespace(loads=parse)
    xian_vm_core.json = SimpleNamespace(loads=json.loads, dumps=_bundle)
    _teach(xian_vm_core.NativeVmHost)
    lmdb_store.decode = _decode(lmdb_store.decode)


def known(text: str) -> ParsedIr | None:
    """The IR of a text, the same object each time; None where it is too large or the VM refuses it.

    Nobody may change it.
    """
    with suppress(KeyError):
        return _parsed[text]
    if len(text) > _parsed.maxsize:
        return None
    try:
        xian_vm_core.validate_module_ir_json(text)
        ir = _parsed[text] = ParsedIr(text)
    except ValueError:
        return None
    return ir


def parse(text: str) -> Any:
    """What `json.loads` answers; of an IR, the same object each time."""
    ir = known(text)
    return json.loads(text) if ir is None else ir


def _decode(upstream: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> Any:
        """What the value of a key is; of a long text that may be an IR, the same each time."""
        if len(data) < SHORT or not data.startswith(b'"{'):
            return upstream(data)
        with suppress(KeyError):
            return _decoded[data]
        value = upstream(data)
        if isinstance(value, str):
            with suppress(ValueError):  # it is larger than all that is kept
                _decoded[data] = value
        return value

    return decode


def _bundle(value: Any, **how: Any) -> str:
    """What `json.dumps` answers, but an empty bundle for that of a contract that the host knows."""
    if isinstance(value, dict) and [type(ir) for ir in value.values()] == [ParsedIr]:
        return "{}"
    return json.dumps(value, **how)


def _teach(host: Any) -> None:
    """Let a transaction's host, a class of the app, take what it parses and answers from here."""
    upstreams_text, upstreams_ir = host.load_module_ir_json, host.load_module_ir

    def load_module_ir(self: Any, name: str) -> Any:
        # Upstream takes what the transaction has parsed before, and judges it anew.
        if name not in self._parsed_ir_cache and (text := upstreams_text(self, name)):
            self._parsed_ir_cache[name] = parse(text)
        return upstreams_ir(self, name)

    def load_module_ir_json(self: Any, name: str) -> str | None:
        text: str | None = upstreams_text(self, name)
        ir = known(text) if text else None
        return text if ir is None else ir.for_vm

    host.load_module_ir = load_module_ir
    host.load_module_ir_json = load_module_ir_json


def _without_positions(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_positions(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == _POSITION:
        return _SHORTEST
    return {name: _without_positions(item) for name, item in value.items()}


def _digest(module: ModuleType) -> str:
    return hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
