"""The mended index is nothing that consensus sees."""

import shutil
from pathlib import Path

from node_harness import Node, Toolchain, wait_until
from xian_py import Wallet

ODD = (Path(__file__).parent / "con_odd.s.py").read_text()


class EitherApp(Node):
    """A node whose app is ours, or upstream's as it is."""

    upstream = False

    def command(self, name: str) -> list[str]:
        if name != "abci" or not self.upstream:
            return super().command(name)
        app = Path(self.toolchain["node_python"]).with_name("xian-abci")
        return ["env", f"HOME={self.home.parent}", str(app)]


def test_upstreams_app_comes_to_the_same_state() -> None:
    with EitherApp(Toolchain(), "either-1") as node:
        node.deploy("con_odd", ODD)
        for arguments in ({"key": "a", "value": "b\0c"}, {"key": "n", "value": "9e999999"}):
            node.broadcast("con_odd", "store", arguments, wallet=Wallet())
        node.broadcast("con_odd", "refuse", {"reason": "a\0b"}, wallet=Wallet())
        wait_until(node.index_level, 10, "index level with the chain")
        node.kill("cometbft")
        node.kill("abci")
        shutil.rmtree(
            node.home / "xian"
        )  # the app's state: CometBFT gives the new app every block again
        (node.home / "xian").mkdir()
        shutil.chown(node.home / "xian", node.toolchain["account"])
        node.upstream = True
        node.start("abci", "cometbft")

        def follows() -> bool:
            try:
                # A transaction on top shows that CometBFT found the app's hash right for every
                # block before.
                receipt = node.broadcast("con_odd", "store", {"key": "z", "value": "z"})
                return bool(receipt["status"] == 0)
            except OSError:
                return False

        wait_until(follows, 60, "upstream's app follows the chain")
