"""The settings of a node, and the two files that CometBFT and the app read them from."""

from dataclasses import dataclass

from xian import toml_utils
from xian.node_setup import (
    AppLoggingOptions,
    MetricsOptions,
    NodeConfigOptions,
    render_node_configs,
)

from workflow_backend_node.requests import Refused

# The time a proposer waits for late votes. Alone, a validator waits for nobody; several need the
# time that a vote takes to come round.
ALONE = "20ms"
SEVERAL = "200ms"


@dataclass(frozen=True)
class Settings:
    """What may differ between nodes; the role `xian_node` documents each.

    Times are CometBFT durations ("200ms", "1s"), addresses "IP-ADDRESS:PORT", peers
    "NODE_ID@HOST:PORT".
    """

    moniker: str
    app_socket: str
    rpc_address: str
    p2p_address: str
    p2p_external_address: str
    peers: list[str]
    private_network: bool
    index: bool
    fee_mode: str
    block_policy: str
    block_interval: str
    timeout_propose: str
    timeout_prevote: str
    timeout_precommit: str
    timeout_commit: str
    keep_blocks: int
    max_pending_nonces: int
    max_request_batch: int
    metrics_address: str
    cometbft_metrics_address: str
    simulation: bool
    log_level: str

    def addresses(self) -> dict[str, str]:
        """The addresses that the node will listen on, by the name of the role's variable."""
        names = ("rpc_address", "p2p_address", "metrics_address", "cometbft_metrics_address")
        return {f"xian_node_{name}": getattr(self, name) for name in names}


def render(settings: Settings, validators: int) -> dict[str, str]:
    """The texts of `config.toml` and `xian.toml`, for a genesis with that number of validators.

    Raises `Refused` for a value that the node would not take.
    """
    metrics_host, _, metrics_port = settings.metrics_address.rpartition(":")
    try:
        configs = render_node_configs(
            options=NodeConfigOptions(
                moniker=settings.moniker,
                p2p_persistent_peers=tuple(settings.peers),
                allow_cors=False,
                bds_enabled=settings.index,
                enable_pruning=settings.keep_blocks > 0,
                blocks_to_keep=settings.keep_blocks or 100_000,
                block_policy_mode=settings.block_policy,
                block_policy_interval=settings.block_interval,
                metrics=MetricsOptions(host=metrics_host.strip("[]"), port=int(metrics_port)),
                app_logging=AppLoggingOptions(level=settings.log_level, json_logging=True),
                tx_fee_mode=settings.fee_mode,
                max_pending_nonces_per_sender=settings.max_pending_nonces,
                proxy_app=f"unix://{settings.app_socket}",
            )
        )
    except ValueError as error:
        raise Refused(f"home settings: {error}") from error
    cometbft, xian = configs["cometbft"], configs["xian"]
    xian["simulation_enabled"] = settings.simulation
    cometbft["log_format"] = "json"
    cometbft["rpc"]["laddr"] = f"tcp://{settings.rpc_address}"
    cometbft["rpc"]["max_request_batch_size"] = settings.max_request_batch
    cometbft["p2p"]["laddr"] = f"tcp://{settings.p2p_address}"
    cometbft["p2p"]["external_address"] = settings.p2p_external_address
    # Addresses of a private network are none that the open internet routes, and several may share
    # one.
    cometbft["p2p"]["addr_book_strict"] = not settings.private_network
    cometbft["p2p"]["allow_duplicate_ip"] = settings.private_network
    cometbft["instrumentation"]["prometheus_listen_addr"] = settings.cometbft_metrics_address
    cometbft["consensus"].update(
        timeout_propose=settings.timeout_propose,
        timeout_prevote=settings.timeout_prevote,
        timeout_precommit=settings.timeout_precommit,
        timeout_commit=settings.timeout_commit or (ALONE if validators == 1 else SEVERAL),
    )
    return {"config.toml": toml_utils.dumps(cometbft), "xian.toml": toml_utils.dumps(xian)}
