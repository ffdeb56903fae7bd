"""The actions of `workflow-backend recovery`, by name."""

from functools import partial

from ..network.report import Actions, Note, note, run_action
from .double_sign_guard import DoubleSignGuard, guard
from .home_archive import HomeArchive, verify_home
from .index import CurrentIndex, LoadIndex, current_index, load_index
from .index_blocks import IndexBlocks, find_index_blocks
from .new_home import NewHome, new_home
from .rollback_guard import RollbackGuard, require_no_rollback
from .sync_tunnels import SyncTunnels, hold_tunnels
from .trusted_height import TrustedHeight, find_trusted_height

ACTIONS: Actions = {
    "double-sign-guard": (DoubleSignGuard, guard),
    "new-home": (NewHome, new_home),
    "home-archive": (HomeArchive, verify_home),
    "rollback-guard": (RollbackGuard, require_no_rollback),
    "trusted-height": (TrustedHeight, find_trusted_height),
    "index-blocks": (IndexBlocks, find_index_blocks),
    "sync-tunnels": (SyncTunnels, hold_tunnels),
    # These two run on a host, with the release that it has: their names and fields have to stay.
    "index-now": (CurrentIndex, current_index),
    "index": (LoadIndex, load_index),
    "note": (Note, note),
}

act = partial(run_action, ACTIONS)
"""Run an action by its name."""
