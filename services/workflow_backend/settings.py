"""Configuration from the environment; every name is listed in docs/settings.md."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from . import variables
from .errors import SettingError

_KEY = re.compile(r"[0-9a-fA-F]{64}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")
_HOST = re.compile(r"[A-Za-z0-9.-]+")
_PREFIX = re.compile(r"((/[A-Za-z0-9._~-]+)+/?)?")
_CONTRACT = re.compile(r"con_[a-z0-9_]{1,60}")

MAX_EARLIER_CONTRACTS = 4
"""Contracts that may be served beside the current one: each costs reads at every block."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of services and commands; relative paths start at the working folder."""

    node_url: str
    ssh: tuple[str, ...]
    chain_id: str
    contract: str
    earlier_contracts: tuple[str, ...]
    projection_path: Path
    state_dir: Path
    api_host: str
    api_port: int
    api_rate: float
    api_wallets: tuple[str, ...]
    api_former_wallets: tuple[str, ...]
    api_origins: tuple[str, ...]
    api_hosts: tuple[str, ...]
    api_proxies: tuple[IPv4Network | IPv6Network, ...]
    api_prefix: str
    tokens_file: Path | None
    handlers_socket: Path
    lease_seconds: int
    drain_seconds: float
    environment: Mapping[str, str]

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings; raises SettingError, which names the variable that is wrong."""
        env = os.environ if environment is None else environment
        api_host = env.get("XIAN_WORKFLOW_API_HOST", "127.0.0.1")
        api_port = variables.port(env, "XIAN_WORKFLOW_API_PORT", 8000)
        return cls(
            node_url=variables.url(env, "XIAN_NODE_URL", "http://127.0.0.1:26657"),
            ssh=variables.ssh(env, "XIAN_WORKFLOW_SSH"),
            chain_id=variables.required(
                env, "XIAN_CHAIN_ID", "the chain id, such as xian-workflow-1"
            ),
            contract=_contract(env),
            earlier_contracts=_earlier_contracts(env),
            projection_path=Path(
                env.get("XIAN_WORKFLOW_PROJECTION_PATH", ".workflow-backend-projection.sqlite3")
            ),
            state_dir=_state_dir(env),
            api_host=api_host,
            api_port=api_port,
            api_rate=variables.positive(env, "XIAN_WORKFLOW_API_RATE", 1000.0),
            api_wallets=variables.accounts(env, "XIAN_WORKFLOW_API_WALLETS"),
            api_former_wallets=variables.accounts(env, "XIAN_WORKFLOW_API_FORMER_WALLETS"),
            api_origins=_origins(env),
            api_hosts=_hosts(env),
            api_proxies=variables.networks(env, "XIAN_WORKFLOW_API_PROXIES"),
            api_prefix=_prefix(env),
            tokens_file=variables.path(env, "XIAN_WORKFLOW_TOKENS_FILE"),
            handlers_socket=_handlers_socket(env),
            lease_seconds=int(variables.seconds(env, "XIAN_WORKFLOW_LEASE_SECONDS", 60, 5, 86400)),
            drain_seconds=_drain_seconds(env),
            environment=env,
        )

    @property
    def contracts(self) -> tuple[str, ...]:
        """All contracts that are served; new items go to the first."""
        return (self.contract, *self.earlier_contracts)

    def certificate(self) -> tuple[Path, Path] | None:
        """Return the files of the API's certificate and its key; None if it serves plain HTTP.

        The environment names them, or they are the credentials `api_certificate` and
        `api_certificate_key`. Raises SettingError if only one of them is set.
        """
        pair = [
            self._file("XIAN_WORKFLOW_API_CERTIFICATE", "api_certificate"),
            self._file("XIAN_WORKFLOW_API_CERTIFICATE_KEY", "api_certificate_key"),
        ]
        given = [path for path in pair if path is not None]
        if len(given) == 1:
            raise SettingError(
                "XIAN_WORKFLOW_API_CERTIFICATE and XIAN_WORKFLOW_API_CERTIFICATE_KEY go together, "
                f"there is only {given[0]}"
            )
        return (given[0], given[1]) if given else None

    def _file(self, name: str, credential: str) -> Path | None:
        path = variables.path(self.environment, name)
        credentials = self.environment.get("CREDENTIALS_DIRECTORY")
        if path is None and credentials and Path(credentials, credential).exists():
            path = Path(credentials, credential)
        return path

    def projection_dsn(self) -> str | None:
        """Return the PostgreSQL DSN of the projection; None if the projection is a SQLite file.

        The DSN may contain a password. It is the service manager's credential `projection_dsn`, or
        in the environment.
        """
        credentials = self.environment.get("CREDENTIALS_DIRECTORY")
        path = Path(credentials, "projection_dsn") if credentials else None
        if path is not None and path.exists():
            return path.read_text(encoding="utf-8").strip()
        return self.environment.get("XIAN_WORKFLOW_PROJECTION_DSN") or None

    def wallet_key(self) -> str:
        """Return the wallet's private key (64 hexadecimal digits).

        It is in a file (`-` is standard input), the service manager's credential `wallet_key`, or
        in the environment. Raises SettingError, which never contains any part of the key.
        """
        path = self.environment.get("XIAN_WORKFLOW_WALLET_KEY_FILE")
        credentials = self.environment.get("CREDENTIALS_DIRECTORY")
        if path is None and credentials is not None:
            path = f"{credentials}/wallet_key"
        if path is not None:
            name = f"the wallet's key file {path}"
            try:
                key = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="ascii")
                key = key.strip()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingError(f"{name} can't be read: {type(error).__name__}") from None
        else:
            name = "XIAN_WALLET_PRIVATE_KEY"
            key = variables.required(
                self.environment,
                name,
                "the wallet's key, or its file by XIAN_WORKFLOW_WALLET_KEY_FILE",
            )
        if not _KEY.fullmatch(key):
            raise SettingError(f"{name} must hold 64 hexadecimal digits, it holds something else")
        return key.lower()


@dataclass(frozen=True, slots=True)
class HandlersSettings:
    """The settings of the handlers' process: nothing about the chain, and no key."""

    file: Path
    socket: Path
    state_dir: Path
    group: str | None
    drain_seconds: float

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> HandlersSettings:
        """Read the settings; raises SettingError, which names the variable that is wrong."""
        env = os.environ if environment is None else environment
        return cls(
            file=Path(
                variables.required(env, "XIAN_WORKFLOW_HANDLERS", "the file of the handlers")
            ),
            socket=_handlers_socket(env),
            state_dir=_state_dir(env),
            group=env.get("XIAN_WORKFLOW_HANDLERS_GROUP") or None,
            drain_seconds=_drain_seconds(env),
        )


def api_url(env: Mapping[str, str]) -> str:
    """Return the URL of the API, the only setting that a client needs."""
    if "@" in env.get("XIAN_WORKFLOW_API_URL", ""):
        # Its value may hold a password, so the message does not show it.
        raise SettingError(
            "XIAN_WORKFLOW_API_URL names a user: the API knows tokens only",
            hint="take the user out and name a token's file by XIAN_WORKFLOW_API_TOKEN_FILE",
        )
    return variables.url(env, "XIAN_WORKFLOW_API_URL", "http://127.0.0.1:8000")


def api_token(env: Mapping[str, str]) -> str | None:
    """Return the client's bearer token for the API; None if no file is named or it is missing."""
    path = env.get("XIAN_WORKFLOW_API_TOKEN_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None  # not deployed yet: an API that asks for one says so
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"XIAN_WORKFLOW_API_TOKEN_FILE ({path}) can't be read: {type(error).__name__}"
        ) from None


def api_ca_file(env: Mapping[str, str]) -> Path | None:
    """Return the file of certificate authorities to trust; None for those of the system."""
    return variables.path(env, "XIAN_WORKFLOW_API_CA_FILE")


def _state_dir(env: Mapping[str, str]) -> Path:
    return Path(env.get("XIAN_WORKFLOW_STATE_DIR", ".workflow-backend"))


def _handlers_socket(env: Mapping[str, str]) -> Path:
    name = "XIAN_WORKFLOW_HANDLERS_SOCKET"
    path = Path(env.get(name) or _state_dir(env) / "handlers.sock")
    if len(os.fsencode(path)) > 100:
        raise SettingError(f"{name} must be a path of at most 100 bytes, it is {path}")
    return path


def _drain_seconds(env: Mapping[str, str]) -> float:
    return variables.seconds(env, "XIAN_WORKFLOW_DRAIN_SECONDS", 10, 0, 86400)


def _contract(env: Mapping[str, str]) -> str:
    what = "begin with con_ and hold lower-case letters, digits and underscores"
    name = "XIAN_WORKFLOW_CONTRACT"
    return variables.matching(env, name, "con_job_workflow", _CONTRACT, what)


def _earlier_contracts(env: Mapping[str, str]) -> tuple[str, ...]:
    name = "XIAN_WORKFLOW_EARLIER_CONTRACTS"
    names = variables.matching_parts(env, name, _CONTRACT, "names of contracts such as con_jobs")
    if len(names) > MAX_EARLIER_CONTRACTS:
        raise SettingError(f"{name} must name at most {MAX_EARLIER_CONTRACTS} contracts")
    if _contract(env) in names:
        raise SettingError(f"{name} names {_contract(env)}, which XIAN_WORKFLOW_CONTRACT names")
    return names


def _origins(env: Mapping[str, str]) -> tuple[str, ...]:
    what = "origins such as https://shop.example.org"
    return variables.matching_parts(env, "XIAN_WORKFLOW_API_ORIGINS", _ORIGIN, what)


def _hosts(env: Mapping[str, str]) -> tuple[str, ...]:
    what = "names such as workflow.example.org, without a port"
    hosts = variables.matching_parts(env, "XIAN_WORKFLOW_API_HOSTS", _HOST, what)
    return tuple(host.lower() for host in hosts)


def _prefix(env: Mapping[str, str]) -> str:
    what = "be a path such as /workflow"
    return variables.matching(env, "XIAN_WORKFLOW_API_PREFIX", "", _PREFIX, what).rstrip("/")
