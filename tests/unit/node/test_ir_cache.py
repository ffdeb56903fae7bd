"""The cache of contracts' IR saves time and changes nothing else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xian.execution_engine
import xian_vm_core
from cachetools import LRUCache
from contracting.artifacts import compile_contract_source
from contracting.storage import lmdb_store
from xian_runtime_types.encoding import encode

from workflow_backend_node import home, ir_cache

SOURCE = "NAME = Variable()\n\n@export\ndef add(n: float = 0.1):\n    return 'é' + str(n)\n"
TRANSACTIONS = 600
SMALL = 256 * 1024
"""Characters of a cache that holds one large contract, so that contracts push each other out."""


def ir_of(name: str) -> str:
    artifacts = compile_contract_source(
        module_name="con_a", source=SOURCE.replace("NAME", name), vm_profile="xian_vm_v1"
    )
    return str(artifacts["vm_ir_json"])


FIRST, SECOND, THIRD = (ir_of(name) for name in ("a", "b", "c"))


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> LRUCache[str, ir_cache.ParsedIr]:
    """An empty cache that holds two contracts."""
    size = len(FIRST) + len(SECOND)
    empty = LRUCache[str, ir_cache.ParsedIr](size, ir_cache._parsed.getsizeof)
    monkeypatch.setattr(ir_cache, "_parsed", empty)
    return empty


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    """The class of the app's hosts; the app's modules are put back as they were."""
    of_app: type[Any] = xian_vm_core.NativeVmHost
    for module in (xian.execution_engine, xian_vm_core):
        monkeypatch.setattr(module, "json", json)
    monkeypatch.setattr(lmdb_store, "decode", lmdb_store.decode)
    for name in ("load_module_ir", "load_module_ir_json"):
        monkeypatch.setattr(of_app, name, getattr(of_app, name))
    return of_app


class State:
    """A state that holds one contract's IR."""

    def __init__(self, text: str) -> None:
        self._text = text

    def make_key(self, contract: str, variable: str, _arguments: object = None) -> str:
        return f"{contract}.{variable}"

    def get(self, key: str) -> str | None:
        return self._text if key == "con_a.__xian_ir_v1__" else None


def test_cache_answers_what_json_does(cache: LRUCache[str, Any]) -> None:
    ir = ir_cache.parse(FIRST)
    assert ir == json.loads(FIRST)
    assert ir_cache.parse("".join(FIRST)) is ir
    assert ir_cache.parse(SECOND) == json.loads(SECOND)
    assert list(cache) == [FIRST, SECOND]


def test_cache_drops_what_was_used_longest_ago(cache: LRUCache[str, Any]) -> None:
    kept = ir_cache.parse(FIRST)
    ir_cache.parse(SECOND)
    ir_cache.parse(FIRST)
    ir_cache.parse(THIRD)
    assert set(cache) == {FIRST, THIRD}
    assert ir_cache.parse(FIRST) is kept


def test_cache_takes_nothing_larger_than_itself(cache: LRUCache[str, Any]) -> None:
    large = FIRST + " " * len(FIRST + SECOND)
    assert ir_cache.parse(large) == json.loads(FIRST)
    assert not cache


def test_vm_gets_all_but_the_positions(cache: LRUCache[str, Any], host: type[Any]) -> None:
    ir_cache.install()
    app = host(State(FIRST))
    told = app.load_module_ir_json("con_a")
    xian_vm_core.validate_module_ir_json(told)
    assert "end_line" not in told
    assert json.loads(told) == ir_cache._without_positions(json.loads(FIRST))
    assert app.load_module_ir("con_a") is cache[FIRST]
    assert app.load_module_ir("con_b") is app.load_module_ir_json("con_b") is None


@pytest.mark.usefixtures("host")
def test_ir_on_the_disk_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ir_cache, "_decoded", LRUCache(4 * len(FIRST), len))
    upstream = lmdb_store.decode
    ir_cache.install()
    values = [FIRST, FIRST + " ", {"record": "r" * 2000}, "{short}", "{" * 2000, None, 7]
    for data in (encode(value).encode() for value in values):
        assert lmdb_store.decode(data) == upstream(data)
    assert lmdb_store.decode(encode(FIRST).encode()) is lmdb_store.decode(encode(FIRST).encode())
    assert lmdb_store.decode(b'"{' + b"x" * 2000) is upstream(b'"{' + b"x" * 2000) is None
    records = [lmdb_store.decode(encode(values[2]).encode()) for _ in range(2)]
    assert records[0] is not records[1]


REFUSED = ["{", "null", "[1]", '"x"', "{}", FIRST.replace('"line"', '"lime"', 1)]


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_the_vm_refuses_is_left_to_upstream(
    cache: LRUCache[str, Any], host: type[Any], text: str
) -> None:
    expected = _outcome(host(State(text)))
    ir_cache.install()
    assert _outcome(host(State(text))) == expected
    assert not cache


def _outcome(host: Any) -> object:
    try:
        return host.load_module_ir("con_a"), host.load_module_ir_json("con_a")
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("name", list(ir_cache.WRITTEN_FOR))
def test_app_of_another_source_starts_without_the_cache(
    name: str,
    host: type[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = host.load_module_ir, host.load_module_ir_json
    monkeypatch.setitem(ir_cache.WRITTEN_FOR, name, "0")
    ir_cache.install()
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line
    assert "without the cache" in line
    assert xian.execution_engine.json is xian_vm_core.json is json
    assert (host.load_module_ir, host.load_module_ir_json) == before


@pytest.mark.usefixtures("host")
def test_installed_app_is_what_the_cache_is_written_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ir_cache.install()
    assert capsys.readouterr().err == ""
    assert xian.execution_engine.json is not json


def blocks(network: Path, base: Path, seed: str, *cache: str) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("random_chain.py")
    return subprocess.Popen(
        [sys.executable, str(program), str(network), seed, str(TRANSACTIONS), *cache],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(base)},
    )


@pytest.mark.parametrize("size", [ir_cache.LIMIT, SMALL])
@pytest.mark.parametrize("fee_mode", ["free_metered", "paid_metered"])
def test_random_blocks_are_the_same_with_the_cache(
    founded: Path, home_request: dict[str, Any], tmp_path: Path, fee_mode: str, size: int
) -> None:
    home_request["settings"] |= {"fee_mode": fee_mode, "index": False, "simulation": False}
    home.bring(home_request, check=False)
    plain = Path(home_request["home"]).parent
    cached = shutil.copytree(plain, tmp_path / "cached")
    seed = f"{fee_mode} {size}"
    with blocks(founded, plain, seed) as one, blocks(founded, cached, seed, str(size)) as other:
        assert one.stdout is not None
        assert other.stdout is not None
        for expected, found in zip(one.stdout, other.stdout, strict=True):
            assert json.loads(found) == json.loads(expected)
    assert (one.returncode, other.returncode) == (0, 0)
