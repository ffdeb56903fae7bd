"""A copy of a projection in a file of a snapshot, looked at before it is used."""

import sqlite3
from contextlib import closing
from pathlib import Path

from ...errors import RecoveryRefused
from ...store import migrations
from .manifest import Manifest

POSITION = "SELECT chain_id, contract, height FROM projection"
REBUILD = "leave it: workflow-backend projection rebuild makes it anew from the chain"


def check(file: Path, manifest: Manifest) -> None:
    """Raise RecoveryRefused where a copy in a file is not whole, or not what the manifest tells."""
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            found = database.execute(POSITION).fetchone()
    except (sqlite3.Error, TypeError) as error:
        raise RecoveryRefused(f"{file} is no projection: {error}", hint=REBUILD) from error
    if said != "ok":
        raise RecoveryRefused(f"{file} is damaged: {said}", hint=REBUILD)
    migrations.refuse_newer(str(file), version, migrations.newest("sqlite"))
    part = manifest.projection
    told = (manifest.chain_id, part and part.contract, part and part.height)
    if found != told:
        raise RecoveryRefused(
            f"{file} is the projection of {found}, the manifest tells {told}", hint=REBUILD
        )
