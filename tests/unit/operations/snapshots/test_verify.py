"""A snapshot is refused for the first thing that is wrong with it, in words of its own."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.errors import ProjectionUnavailable, RecoveryRefused, SettingError
from workflow_backend.operations.snapshots import files, verify
from workflow_backend.operations.snapshots.manifest import SQLITE, STATE
from workflow_backend.operations.snapshots.signatures import Trust
from workflow_backend.operations.snapshots.verify import Sign

from . import samples


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "control.key"


@pytest.fixture
def trust(key: Path) -> Trust:
    return Trust(keys=[samples.key(key)])


@pytest.fixture
def folder(tmp_path: Path, key: Path, trust: Trust) -> Path:
    """A good snapshot, signed."""
    del trust  # makes the key
    return samples.snapshot(tmp_path / "one", key)


def test_good_one_is_verified_and_noted(folder: Path, trust: Trust) -> None:
    rehearsed = verify.verify(samples.verify_request(folder, trust), check=True)
    assert not (folder / "verified.json").exists()
    found = verify.verify(samples.verify_request(folder, trust), check=False)
    assert found == rehearsed
    assert found["trusted_for"].startswith("the signature of ")
    assert (folder / "verified.json").exists()
    assert verify.verify(samples.verify_request(folder, trust), check=False) == found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain_id": "unit-2"}, "of chain 'unit-1', not 'unit-2'"),
        ({"genesis_sha256": "00" * 32}, "another genesis"),
        ({"height": 13}, "of height 12, not 13"),
        ({"app_hash": "00" * 32}, "app hash"),
    ],
)
def test_snapshot_other_than_requested_is_refused(
    folder: Path, trust: Trust, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecoveryRefused, match=message):
        verify.verify(samples.verify_request(folder, trust, **changes), check=False)
    assert not (folder / "verified.json").exists()


def _truncate(folder: Path) -> None:
    with (folder / STATE).open("r+b") as file:
        file.truncate(50)


def _lengthen(folder: Path) -> None:
    with (folder / STATE).open("ab") as file:
        file.write(b"more")


def _flip(folder: Path) -> None:
    content = bytearray((folder / STATE).read_bytes())
    content[60] ^= 1
    (folder / STATE).write_bytes(content)


def _tamper(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace('"height": 12', '"height": 11'))


def _link(folder: Path) -> None:
    (folder / STATE).rename(folder.parent / "elsewhere")
    (folder / STATE).symlink_to(folder.parent / "elsewhere")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_truncate, "is truncated: it has 50 bytes"),
        (_lengthen, "is too long"),
        (_flip, "has the sum"),
        (_tamper, "is not that of this manifest"),
        (_link, "is not a regular file"),
        (lambda folder: (folder / STATE).unlink(), "is missing"),
        (lambda folder: (folder / "more").write_text(""), "holds more, of which its manifest"),
        (lambda folder: (folder / "more").mkdir(), "is not a regular file"),
        (lambda folder: os.mkfifo(folder / "more"), "is not a regular file"),
        (lambda folder: (folder / "manifest.json").unlink(), "is not a snapshot"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "is not a manifest"),
        (lambda folder: (folder / "manifest.json").write_text(" " * (2 << 20)), "is larger than"),
        (lambda folder: (folder / "signatures.json").unlink(), "nobody has signed"),
        (shutil.rmtree, "there is no snapshot"),
    ],
)
def test_harm_is_found(
    folder: Path, trust: Trust, harm: Callable[[Path], Any], message: str
) -> None:
    harm(folder)
    with pytest.raises(RecoveryRefused, match=message) as raised:
        verify.verify(samples.verify_request(folder, trust), check=False)
    assert "\n" not in raised.value.explain()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has format 2, this release knows 1"),
        ({"files": {"../../etc/passwd": {"size": 1, "sha256": "00" * 32}}}, "is not a manifest"),
        ({"files": {}}, "do not go together"),
        ({"index": {"height": 1, "block_hash": "00" * 32, "schema_version": 7}}, "do not go tog"),
        ({"height": 0}, "height: Input should be greater than 0"),
        ({"height": "12"}, "height: Input should be a valid integer"),
        ({"app_hash": "x"}, "app_hash"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_signed_manifest_still_has_to_be_one(
    folder: Path, trust: Trust, key: Path, changes: dict[str, Any], message: str
) -> None:
    manifest = json.loads((folder / "manifest.json").read_text()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecoveryRefused, match=message):
        verify.verify(samples.verify_request(folder, trust), check=False)
    del key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 13}, "at height 13"),
        ({"chain_id": "unit-2"}, "chain unit-2"),
        ({"app_hash": "00" * 32}, "app hash 0000"),
        ({"height": None}, "does not say what it is"),
    ],
)
def test_state_that_is_not_the_manifests_is_refused(
    folder: Path, trust: Trust, key: Path, changes: dict[str, Any], message: str
) -> None:
    samples.state(folder / STATE, **changes)
    samples.seal(folder, key)
    with pytest.raises(RecoveryRefused, match=message):
        verify.verify(samples.verify_request(folder, trust), check=False)


def test_archive_that_is_no_state_is_refused(folder: Path, trust: Trust, key: Path) -> None:
    samples.archive(folder / STATE, {"metadata.json": b"{}"})
    samples.seal(folder, key)
    with pytest.raises(RecoveryRefused, match="holds no app's state"):
        verify.verify(samples.verify_request(folder, trust), check=False)


class TestProjection:
    @pytest.fixture
    def with_projection(self, folder: Path, key: Path) -> Path:
        samples.projection(folder / SQLITE)
        self.seal(folder, key)
        return folder

    @staticmethod
    def seal(folder: Path, key: Path) -> None:
        samples.seal(folder, key, projection={"height": 0, "contract": "con_unit"})

    def test_good_one(self, with_projection: Path, trust: Trust) -> None:
        before = files.measure(with_projection / SQLITE)
        verify.verify(samples.verify_request(with_projection, trust), check=False)
        assert files.measure(with_projection / SQLITE) == before
        assert {path.name for path in with_projection.iterdir()} == {
            *(STATE, SQLITE, "manifest.json", "signatures.json", "verified.json")
        }

    def test_snapshot_projection_of_another_chain_is_refused(
        self, folder: Path, trust: Trust, key: Path
    ) -> None:
        samples.projection(folder / SQLITE, "unit-2")
        self.seal(folder, key)
        with pytest.raises(RecoveryRefused, match="is the projection of"):
            verify.verify(samples.verify_request(folder, trust), check=False)

    def test_snapshot_projection_that_is_no_database_is_refused(
        self, with_projection: Path, trust: Trust, key: Path
    ) -> None:
        (with_projection / SQLITE).write_bytes(b"no database at all" * 99)
        self.seal(with_projection, key)
        with pytest.raises(RecoveryRefused, match="is not a projection"):
            verify.verify(samples.verify_request(with_projection, trust), check=False)

    def test_newer_releases(self, with_projection: Path, trust: Trust, key: Path) -> None:
        with sqlite3.connect(with_projection / SQLITE) as database:
            database.execute("PRAGMA user_version = 1001")
        database.close()
        self.seal(with_projection, key)
        with pytest.raises(ProjectionUnavailable, match="newer release"):
            verify.verify(samples.verify_request(with_projection, trust), check=False)


class TestArchiveAlone:
    @pytest.fixture
    def archive(self, tmp_path: Path) -> Path:
        path = tmp_path / "state.tar.gz"
        samples.state(path)
        return path

    def pins(self, archive: Path, **changes: Any) -> dict[str, Any]:
        pins = {
            "archive_sha256": files.measure(archive).sha256,
            "height": samples.HEIGHT,
            "app_hash": samples.APP_HASH,
        }
        return pins | changes

    def test_archive_of_a_state_needs_all_three_pins(self, archive: Path) -> None:
        found = verify.verify(
            samples.verify_request(archive, Trust(), **self.pins(archive)), check=False
        )
        assert found["trusted_for"] == "its sum"
        assert found["changed"] == []
        for name in self.pins(archive):
            request = samples.verify_request(archive, Trust(), **self.pins(archive, **{name: None}))
            with pytest.raises(RecoveryRefused, match="nothing signed"):
                verify.verify(request, check=False)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"archive_sha256": "00" * 32}, "has the sum"),
            ({"height": 13}, "at height 12"),
            ({"app_hash": "00" * 32}, "the manifest says"),
        ],
    )
    def test_archive_of_a_state_other_than_pinned_is_refused(
        self, archive: Path, changes: dict[str, Any], message: str
    ) -> None:
        request = samples.verify_request(archive, Trust(), **self.pins(archive, **changes))
        with pytest.raises(RecoveryRefused, match=message):
            verify.verify(request, check=False)


class TestSign:
    def request(self, folder: Path, key: Path, **changes: Any) -> Sign:
        return Sign(
            **{
                "snapshot": folder,
                "key_file": key,
                "chain_id": samples.CHAIN,
                "genesis_sha256": samples.GENESIS,
                "host": "alpha",
                **changes,
            }
        )

    def test_manifest_that_was_fetched_alone(self, tmp_path: Path, key: Path) -> None:
        folder = samples.snapshot(tmp_path / "two")
        (folder / STATE).unlink()
        public = samples.key(key)
        rehearsed = verify.sign(self.request(folder, key), check=True)
        assert not (folder / "signatures.json").exists()
        signed = verify.sign(self.request(folder, key), check=False)
        assert signed == rehearsed
        assert list(signed["signatures"]) == [public]
        assert verify.sign(self.request(folder, key), check=False)["changed"] == []

    def test_key_that_is_given_is_used_and_none_is_refused(
        self, folder: Path, tmp_path: Path
    ) -> None:
        second = tmp_path / "second.key"
        public = samples.key(second)
        given = {"key_file": None, "key": second.read_text()}
        request = Sign(**dict(self.request(folder, second)) | given)
        assert public in verify.sign(request, check=False)["signatures"]
        with pytest.raises(SettingError, match="neither key nor key_file"):
            verify.sign(self.request(folder, second, key_file=None), check=False)

    def test_signatures_of_others_stay(self, folder: Path, tmp_path: Path) -> None:
        second = tmp_path / "second.key"
        public = samples.key(second)
        signed = verify.sign(self.request(folder, second), check=False)["signatures"]
        assert len(signed) == 2
        verify.verify(samples.verify_request(folder, Trust(hosts={"alpha": public})), check=False)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"chain_id": "unit-2"}, "of chain"),
            ({"genesis_sha256": "00" * 32}, "another genesis"),
            ({"host": "beta"}, "of alpha, it was fetched from beta"),
        ],
    )
    def test_manifest_that_can_not_be_vouched_for_is_not_signed(
        self, folder: Path, key: Path, changes: dict[str, Any], message: str
    ) -> None:
        before = (folder / "signatures.json").read_text()
        with pytest.raises(RecoveryRefused, match=message):
            verify.sign(self.request(folder, key, **changes), check=False)
        assert (folder / "signatures.json").read_text() == before
