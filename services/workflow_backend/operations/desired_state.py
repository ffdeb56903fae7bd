"""What this deployment is expected to be: bootstrap brings it about, health holds reality to it."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingError
from ..variables import accounts, parts

FEE_MODES = ("free_metered", "paid_metered")
FUND_TARGET = 100_000.0
SERVICES = ("handlers", "processor", "projector", "api")


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What is expected; whatever is left out is neither made nor checked.

    `workers`, `former_workers` and `wallets` are public keys. `fund_target` is in units of the
    chain's currency. `services` gives the state directory of each service that runs on this host,
    by its name, `disks` further folders with data of this host. `block_age` is the age in seconds
    that the newest block may have, None where it may have any. `index` tells whether the node keeps
    one, `contract` whether one is expected on the chain: not for a host that is told to have no
    services, of a network in which nobody works.
    """

    contract_source: Path | None
    workers: tuple[str, ...]
    former_workers: tuple[str, ...]
    wallets: tuple[str, ...]
    paid: bool
    fund_target: float
    services: Mapping[str, Path]
    disks: Mapping[str, Path]
    block_age: float | None
    index: bool
    contract: bool
    node_home: Path | None = None

    @classmethod
    def load(cls, env: Mapping[str, str]) -> DesiredState:
        """Read it from the environment; raises SettingError naming the variable that is wrong."""
        source = env.get("XIAN_WORKFLOW_CONTRACT_SOURCE")
        age = env.get("XIAN_WORKFLOW_BLOCK_AGE_SECONDS")
        services = _services(env)
        workers = accounts(env, "XIAN_WORKFLOW_WORKERS")
        former_workers = accounts(env, "XIAN_WORKFLOW_FORMER_WORKERS")
        if both := sorted(set(workers) & set(former_workers)):
            raise SettingError(
                f"{both[0]} is in XIAN_WORKFLOW_WORKERS and in XIAN_WORKFLOW_FORMER_WORKERS: "
                "an account is one or the other"
            )
        return cls(
            contract_source=Path(source) if source else None,
            workers=workers,
            former_workers=former_workers,
            wallets=accounts(env, "XIAN_WORKFLOW_WALLETS"),
            paid=_paid(env),
            fund_target=_positive(env, "XIAN_WORKFLOW_FUND_TARGET", FUND_TARGET),
            services=services,
            disks=_disks(env),
            block_age=_positive(env, "XIAN_WORKFLOW_BLOCK_AGE_SECONDS", 0.0) if age else None,
            index=_index(env),
            contract=bool(source or workers or former_workers or services)
            or "XIAN_WORKFLOW_SERVICES" not in env,
            node_home=Path(home) if (home := env.get("XIAN_WORKFLOW_NODE_HOME")) else None,
        )

    @property
    def accounts(self) -> tuple[str, ...]:
        """Everybody who needs a balance where fees are paid: workers and wallets, each once."""
        return tuple(dict.fromkeys(self.workers + self.wallets))


def read_source(path: Path) -> str:
    """Read a contract's source; raises SettingError where there is none or it is not Python."""
    try:
        source = path.read_text(encoding="utf-8")
        ast.parse(source)
    except (OSError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(
            f"the contract's source {path} can't be read: {reason}",
            hint="give its path in XIAN_WORKFLOW_CONTRACT_SOURCE",
        ) from error
    return source


def _paid(env: Mapping[str, str]) -> bool:
    mode = env.get("XIAN_WORKFLOW_FEE_MODE", FEE_MODES[0])
    if mode not in FEE_MODES:
        raise SettingError(f"XIAN_WORKFLOW_FEE_MODE must be {' or '.join(FEE_MODES)}, not {mode!r}")
    return mode == "paid_metered"


def _positive(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise SettingError(f"{name} must be a number above 0, it is {text!r}")
    return value


def _index(env: Mapping[str, str]) -> bool:
    text = env.get("XIAN_WORKFLOW_INDEX", "yes")
    if text not in {"yes", "no"}:
        raise SettingError(f"XIAN_WORKFLOW_INDEX must be yes or no, it is {text!r}")
    return text == "yes"


def _services(env: Mapping[str, str]) -> dict[str, Path]:
    name = "XIAN_WORKFLOW_SERVICES"
    services: dict[str, Path] = {}
    for part in parts(env, name):
        service, equals, directory = part.partition("=")
        if service not in SERVICES or not equals or not directory:
            raise SettingError(
                f"{name} must be NAME=STATE_DIR of {', '.join(SERVICES)}, separated by commas, "
                f"one is {part!r}"
            )
        services[service] = Path(directory)
    return services


def _disks(env: Mapping[str, str]) -> dict[str, Path]:
    name = "XIAN_WORKFLOW_DISKS"
    disks: dict[str, Path] = {}
    for part in parts(env, name):
        what, _, folder = part.partition("=")
        if not what or not folder.startswith("/"):
            raise SettingError(
                f"{name} must be NAME=FOLDER with whole paths, separated by commas, one is {part!r}"
            )
        disks[what] = Path(folder)
    return disks
