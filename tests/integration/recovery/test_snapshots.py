"""Snapshots of a node that goes on, and those that are refused while it does."""

import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import free_port

from .host import CONTRACT, Host


@pytest.fixture(scope="module")
def made(host: Host) -> dict[str, Any]:
    """A snapshot with all its parts."""
    return host.make()


@pytest.fixture
def goes_on(host: Host) -> Iterator[None]:
    """The chain takes items before and after, and nothing lies beside the node's home."""
    before = host.node.height()
    yield
    host.submit(1)
    assert host.node.height() > before
    assert not (host.node.home.parent / "restore").exists()


def test_snapshot_is_the_chains_state_at_its_height(host: Host, made: dict[str, Any]) -> None:
    manifest = made["manifest"]
    host.submit(1)
    header = host.node.rpc("header", height=str(manifest["height"] + 1))["header"]
    assert header["app_hash"].lower() == manifest["app_hash"]
    block = host.node.rpc("block", height=str(manifest["index"]["height"]))
    assert block["block_id"]["hash"].lower() == manifest["index"]["block_hash"]
    assert manifest["index"]["height"] >= manifest["height"]
    assert manifest["projection"]["contract"] == CONTRACT
    assert sorted(manifest["files"]) == ["index.dump", "projection.sqlite3", "state.tar.gz"]
    verified = host.ask("verify", host.request(made))
    assert verified["trusted_for"] == f"the signature of {host.key}"


def test_snapshot_is_complete_while_blocks_come(host: Host) -> None:
    stop = threading.Event()

    def flow() -> None:
        while not stop.is_set():
            host.submit(1)

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        before = host.node.height()
        made = host.make(keep=2)
        assert host.node.height() > before
    finally:
        stop.set()
        thread.join()
    host.ask("verify", host.request(made))
    report = host.ask("drill", drill(host, made))
    assert report["state"]["items"] == report["index"]["items"]
    assert report["state"]["items"] >= 5


def drill(host: Host, made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    scratch = host.node.folder / "scratch"
    programs = {"node_python": host.programs["node_python"]}
    request = host.request(made, scratch=str(scratch), contract=CONTRACT, **changes)
    return request | programs


class TestDrill:
    def test_newest_of_a_folder_is_tried_out(self, host: Host, made: dict[str, Any]) -> None:
        report = host.ask("drill", drill(host, {"snapshot": str(host.snapshots)}))
        assert report["height"] >= made["manifest"]["height"]
        assert report["projection"]["items"] == 5
        assert set(report["seconds"]) > {"verify", "state", "index", "projection"}
        assert list((host.node.folder / "scratch").iterdir()) == []

    def test_parts_that_do_not_go_together_are_found(
        self, host: Host, made: dict[str, Any]
    ) -> None:
        manifest = made["manifest"]["projection"]
        forged = host.forged(made, "apart", projection=manifest | {"height": 2})
        refused = host.refusal("drill", drill(host, forged))
        assert "the manifest says" in refused
        assert list((host.node.folder / "scratch").iterdir()) == []


class TestRefused:
    """Each bad snapshot has its own words, and the node goes on."""

    pytestmark = pytest.mark.usefixtures("goes_on")

    def refused(self, host: Host, made: dict[str, Any], **changes: Any) -> str:
        return host.refusal("prepare", host.restore(made, **changes))

    def test_anothers_chain(self, host: Host, made: dict[str, Any]) -> None:
        forged = host.forged(made, "chain", chain_id="elsewhere-1")
        assert "of chain 'elsewhere-1', not 'recovery-1'" in self.refused(host, forged)

    def test_snapshot_of_another_genesis_is_refused(self, host: Host, made: dict[str, Any]) -> None:
        forged = host.forged(made, "genesis", genesis_sha256="00" * 32)
        assert "another genesis" in self.refused(host, forged)
        assert "the home is another network's" in self.refused(
            host, forged, genesis_sha256="00" * 32
        )

    def test_snapshot_of_another_height_or_app_hash_is_refused(
        self, host: Host, made: dict[str, Any]
    ) -> None:
        assert "not 3" in self.refused(host, made, height=3)
        assert "app hash" in self.refused(host, made, app_hash="00" * 32)

    def test_truncated_state(self, host: Host, made: dict[str, Any]) -> None:
        copy = host.forged(made, "short")
        with (Path(copy["snapshot"]) / "state.tar.gz").open("r+b") as file:
            file.truncate(1000)
        assert "is truncated: it has 1000 bytes" in self.refused(host, copy)

    def test_truncated_index_that_was_signed(self, host: Host, made: dict[str, Any]) -> None:
        copy = host.forged(made, "dump")
        dump = Path(copy["snapshot"]) / "index.dump"
        with dump.open("r+b") as file:
            file.truncate(dump.stat().st_size - 2000)
        part = self.measured(dump)
        files = made["manifest"]["files"] | {"index.dump": part}
        again = self.resealed(host, copy, files=files)
        assert "index.dump is truncated or damaged" in self.refused(host, again)

    def measured(self, path: Path) -> dict[str, Any]:
        digest = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True)
        return {"size": path.stat().st_size, "sha256": digest.stdout.split()[0]}

    def resealed(self, host: Host, copy: dict[str, Any], **changes: Any) -> dict[str, Any]:
        return host.forged(copy, f"{Path(copy['snapshot']).name}-again", **changes)

    def test_tampered_manifest(self, host: Host, made: dict[str, Any]) -> None:
        copy = host.forged(made, "tampered")
        path = Path(copy["snapshot"]) / "manifest.json"
        path.write_text(path.read_text().replace('"alpha"', '"beta"'))
        assert "no trusted key has signed this snapshot of beta" in self.refused(host, copy)

    def test_hosts_key_for_anothers_snapshot(self, host: Host, made: dict[str, Any]) -> None:
        forged = host.forged(made, "beta", host="beta")
        assert "a host's key vouches for its own snapshots alone" in self.refused(host, forged)

    def test_state_that_leads_out_of_its_folder(self, host: Host, made: dict[str, Any]) -> None:
        copy = host.forged(made, "way-out")
        archive = Path(copy["snapshot"]) / "state.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            info = tarfile.TarInfo("../../config/config.toml")
            tar.addfile(info)
        files = made["manifest"]["files"] | {"state.tar.gz": self.measured(archive)}
        again = self.resealed(host, copy, files=files)
        assert "leads out of its folder" in self.refused(host, again)

    def test_snapshot_with_another_app_hash_than_the_chains_is_refused(
        self, host: Host, made: dict[str, Any]
    ) -> None:
        copy = host.forged(made, "hash")
        folder = Path(copy["snapshot"])
        manifest = {"chain_id": "recovery-1", "height": made["manifest"]["height"]}
        metadata = json.dumps({**manifest, "app_hash": "00" * 32}).encode()
        (folder / "metadata.json").write_bytes(metadata)
        (folder / "exported_state.json").write_text("{}")
        with tarfile.open(folder / "state.tar.gz", "w:gz") as tar:
            for name in ("metadata.json", "exported_state.json"):
                tar.add(folder / name, name)
                (folder / name).unlink()
        files = made["manifest"]["files"] | {"state.tar.gz": self.measured(folder / "state.tar.gz")}
        again = self.resealed(host, copy, files=files, app_hash="00" * 32)
        assert "the chain has the app hash" in self.refused(host, again)

    def test_swap_of_a_node_that_runs(self, host: Host, made: dict[str, Any]) -> None:
        host.ask("prepare", host.restore(made))
        assert "runs: stop the node first" in host.refusal("swap", host.programs)
        assert host.ask("undo", host.programs)["undone"]["phase"] == "prepared"

    def test_snapshot_without_room_is_refused(self, host: Host) -> None:
        request = {
            **host.programs,
            "directory": str(host.snapshots),
            "host": "alpha",
            "room_bytes": 1 << 60,
        }
        before = sorted(host.snapshots.iterdir())
        assert "have to stay free" in host.refusal("make", request)
        assert sorted(host.snapshots.iterdir()) == before


class TestOtherStores:
    """Homes whose blocks do not go with the snapshot; their node is stopped."""

    @pytest.fixture
    def home(self, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """A home without blocks, in a folder that the account may enter."""
        del tmp_path_factory
        home = host.node.folder / "other" / ".cometbft"
        (home / "data").mkdir(parents=True)
        shutil.copytree(host.node.home / "config", home / "config")
        signed = Path("data") / "priv_validator_state.json"
        shutil.copyfile(host.node.home / signed, home / signed)
        config = home / "config" / "config.toml"
        address = host.node.rpc_address
        text = config.read_text()
        config.write_text(
            text.replace(address, f"127.0.0.1:{free_port()}").replace("abci.sock", "other.sock")
        )
        host.give(home.parent)
        yield home
        shutil.rmtree(home.parent)

    def test_empty_one(self, host: Host, made: dict[str, Any], home: Path) -> None:
        request = host.restore(made, home=str(home))
        for _ in range(2):  # without the folder, and with an empty one
            refused = host.refusal("prepare", request)
            assert "has no block store" in refused or "block store is empty" in refused
            assert "push-home.yml" in refused
            assert "bootstrap-state-sync.yml" in refused
            (home / "data" / "blockstore.db").mkdir(exist_ok=True)
            host.give(home.parent)

    def test_that_ends_before_the_snapshot(
        self, host: Host, made: dict[str, Any], home: Path
    ) -> None:
        host.stop()
        for name in ("blockstore.db", "state.db"):
            shutil.copytree(host.node.home / "data" / name, home / "data" / name)
        host.give(home.parent)
        host.start()
        host.submit(2)
        newer = host.make()
        older = host.ask("prepare", host.restore(made, home=str(home)))
        assert older["blocks"]["running"] is False
        refused = host.refusal("prepare", host.restore(newer, home=str(home)))
        assert "newer than the node's blocks" in refused


def test_state_of_upstreams_own_tool_is_pinned_by_its_sum(host: Host) -> None:
    archive = host.node.folder / "upstream.tar.gz"
    tool = Path(host.tools["node_python"]).with_name("xian-state-snapshot")
    command = ["env", f"HOME={host.node.home.parent}", str(tool), "export"]
    done = subprocess.run(
        [*host.tools.as_account, *command, f"--output-path={archive}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "exported" in done.stdout
    record = json.loads(archive.with_name(f"{archive.name}.manifest.json").read_text())
    pins = {
        "archive_sha256": record["snapshot_hash_hex"],
        "height": record["height"],
        "app_hash": record["app_hash_hex"],
    }
    request = host.restore({"snapshot": str(archive)}, **pins)
    assert host.ask("prepare", request)["trusted_for"] == "its sum"
    host.ask("undo", host.programs)
    assert "nothing signed vouches" in host.refusal("prepare", request | {"height": None})


def test_few_are_kept(host: Host) -> None:
    made = host.make(keep=1)
    assert made["snapshot"] not in made["removed"]
    left = host.ask("list", {"directory": str(host.snapshots)})["snapshots"]
    assert left[0]["path"] == made["snapshot"]
    assert [one["verified"] for one in left[1:]] in ([], [True])
