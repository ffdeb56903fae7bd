"""HTTPS: a certificate that is renewed under open connections, and clients that check it."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from node_harness import Node

from .certificates import Authority
from .stack import Stack, eventually, fresh_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Secured:
    """An API with a certificate, and the authority that signed it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.authority = Authority(stack.path)
        self.certificate, self.key = stack.path / "api.pem", stack.path / "api.key"
        self.trust = ssl.create_default_context(cafile=self.authority.file)
        self.url = stack.url.replace("http:", "https:")

    def put(self) -> int:
        """Put a new certificate in place; returns its serial number."""
        certificate, key, serial = self.authority.sign()
        for path, text in ((self.certificate, certificate), (self.key, key)):
            beside = path.with_suffix(".new")
            beside.write_bytes(text)
            beside.replace(path)
        return serial

    async def served(self) -> int:
        """The serial number of the certificate that a new connection gets."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.stack.port, ssl=self.trust)
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        serial = str((found.getpeercert() or {})["serialNumber"])
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return int(serial, 16)

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.stack.command), *arguments],
            env={"PATH": "/usr/bin:/bin", "XIAN_WORKFLOW_API_URL": self.url, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secured(node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    async with fresh_stack(node, tmp_path_factory.mktemp("https")) as stack:
        secured = Secured(stack)
        serial = secured.put()
        stack.extra["XIAN_WORKFLOW_API_CERTIFICATE"] = str(secured.certificate)
        stack.extra["XIAN_WORKFLOW_API_CERTIFICATE_KEY"] = str(secured.key)
        stack.start("projector", "api")

        async def serves() -> bool:
            try:
                return await secured.served() == serial
            except OSError:
                return False

        await eventually(serves, "the certificate")
        yield secured


async def test_a_renewed_certificate_serves_new_connections_and_open_ones_stay(
    secured: Secured,
) -> None:
    connector = aiohttp.TCPConnector(ssl=secured.trust, limit=1)
    async with aiohttp.ClientSession(secured.url, connector=connector) as session:

        async def live() -> object:
            async with session.get("/health/live") as response:
                assert response.status == 200
                await response.read()
                assert response.connection is None
                return next(iter(connector._conns.values()))[0][0]

        kept = await live()
        serial = secured.put()

        async def renewed() -> bool:
            return await secured.served() == serial

        await eventually(renewed, "the renewed certificate")
        assert await live() is kept


async def test_a_pair_that_does_not_fit_leaves_the_old_one_in_use(secured: Secured) -> None:
    serial = await secured.served()
    certificate, _, _ = secured.authority.sign()
    fitting = secured.certificate.read_bytes()
    secured.certificate.write_bytes(certificate)

    async def reloaded() -> bool:
        return "the certificate is not renewed" in secured.stack.log("api")

    await eventually(reloaded, "word of it")
    assert await secured.served() == serial
    secured.certificate.write_bytes(fitting)


async def test_the_command_line_trusts_the_given_authorities(secured: Secured) -> None:
    trusted = {"XIAN_WORKFLOW_API_CA_FILE": str(secured.authority.file)}
    submitted = secured.command("items", "submit", "tls-1", "uri:1", **trusted)
    assert submitted.returncode == 0, submitted.stderr
    stranger = secured.command("items", "get", "tls-1")
    assert stranger.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in stranger.stderr
    for wrong in ("/nowhere", str(secured.key)):
        refused = secured.command("items", "list", XIAN_WORKFLOW_API_CA_FILE=wrong)
        assert refused.returncode == 1
        assert "XIAN_WORKFLOW_API_CA_FILE" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


async def test_there_is_no_plain_http(secured: Secured) -> None:
    with pytest.raises(aiohttp.ClientError):
        await secured.stack.request("GET", "/health/live")


@pytest.mark.parametrize(
    ("certificate", "key", "what"),
    [
        ("api.pem", "", "go together"),
        ("", "api.key", "go together"),
        ("api.pem", "none.key", "none.key can't be read"),
        ("api.key", "api.key", "not a certificate and its key"),
        ("authority.pem", "api.key", "not a certificate and its key"),
    ],
)
async def test_a_wrong_certificate_is_one_line_at_start(
    secured: Secured, certificate: str, key: str, what: str, tmp_path: Path
) -> None:
    environment = secured.stack.environment("api") | {
        "XIAN_WORKFLOW_STATE_DIR": str(tmp_path),
        "XIAN_WORKFLOW_API_CERTIFICATE": certificate,
        "XIAN_WORKFLOW_API_CERTIFICATE_KEY": key,
    }
    done = await asyncio.create_subprocess_exec(
        secured.stack.command,
        "api",
        env=environment,
        cwd=secured.stack.path,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, output = await done.communicate()
    assert done.returncode == 1
    assert what in output.decode()
    assert len(output.decode().splitlines()) == 1
