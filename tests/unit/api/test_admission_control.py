"""Who gets in, decided before a body is read."""

import pathlib

from workflow_backend.api import tokens
from workflow_backend.settings import Settings

from .conftest import Open, fake_backend
from .serving import answer, serving

POST = (
    "POST /items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    "Content-Length: 1000000\r\n{}\r\n"
)


async def test_admission_refuses_a_body_that_it_has_not_read(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "tokens.json"
    good = f"Authorization: Bearer {tokens.add(file, 'shop', ['submit'])}\r\n"
    settings = Settings.load({"XIAN_CHAIN_ID": "chain-1"})
    async with serving(fake_backend(settings, rate=2.0, tokens=file)) as served:
        wrong = "Authorization: Bearer xwb_wrong\r\n"
        # No body follows: an answer that waited for one would not come.
        for headers, status in (("", 401), (wrong, 401), ("", 429)):
            reader, writer = await served.connect()
            writer.write(POST.format(headers).encode())
            assert (await answer(reader))[0] == status
            writer.close()
        reader, writer = await served.connect()
        writer.write(POST.format(good + "Expect: 100-continue\r\n").encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        writer.close()


async def test_admission_counts_every_path_but_the_one_for_supervisors(api: Open) -> None:
    client = api(rate=1.0)
    statuses = [(await client.get(path)).status_code for path in ("/health", "/health/ready")]
    assert statuses == [200, 429]
    assert (await client.get("/health/live")).status_code == 200
