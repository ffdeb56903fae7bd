"""The handlers' file: what is wrong in it is named by file, table and key."""

from pathlib import Path

import pytest

from workflow_backend.errors import SettingError
from workflow_backend.processor.handlers.configuration import load
from workflow_backend.processor.handlers.kinds import Kind, RetryPolicy


def written(path: Path, text: str) -> Path:
    file = path / "handlers.toml"
    file.write_text(text)
    return file


def test_figures_have_defaults_and_smoke_is_always_there(tmp_path: Path) -> None:
    kinds = load(
        written(
            tmp_path,
            """
            [mail]
            handler = "http"
            url = "https://example.org/mail"
            [render]
            handler = "command"
            argv = ["sh", "-c", "true"]
            concurrency = 2
            timeout_seconds = 7.5
            [render.retry]
            tries = 3
            first_seconds = 10
            """,
        )
    )
    assert set(kinds) == {"mail", "render", "smoke"}
    assert kinds["render"][0] == Kind(2, 7.5, RetryPolicy(3, 10.0, 300.0))
    assert kinds["mail"][0] == Kind(20, 60.0, RetryPolicy(5, 1.0, 300.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table"),
        ('job = "echo"', "job is not in a table"),
        ("[job]", "[job] handler is missing"),
        ('[job]\nhandler = "sh"', "[job] handler must be one of echo, http, command, python"),
        ('["a b"]\nhandler = "echo"', "[a b]"),
        ('[job]\nhandler = "echo"\nurl = "x"', "[job] url is not a key"),
        ('[job]\nhandler = "http"', "[job] url is missing"),
        ('[job]\nhandler = "http"\nurl = "ftp://x/"', "[job] url must be"),
        ('[job]\nhandler = "http"\nurl = 5', "[job] url must be"),
        ('[job]\nhandler = "command"\nargv = "ls -l"', "[job] argv must be a list"),
        (
            '[job]\nhandler = "command"\nargv = ["/no/such"]',
            "[job] argv names a program that is not there",
        ),
        ('[job]\nhandler = "python"\nfunction = "os.system"', "[job] function must be"),
        ('[job]\nhandler = "echo"\nconcurrency = 0', "[job] concurrency must be"),
        ('[job]\nhandler = "echo"\nconcurrency = true', "[job] concurrency must be"),
        ('[job]\nhandler = "echo"\ntimeout_seconds = -1', "[job] timeout_seconds must be"),
        ('[job]\nhandler = "echo"\nretry = 3', "[job] retry must be a table"),
        ('[job]\nhandler = "echo"\n[job.retry]\ntimes = 3', "[job.retry] times is not a key"),
        ('[job]\nhandler = "echo"\n[job.retry]\ntries = "3"', "[job.retry] tries must be"),
        ("[job\n", "line 1"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SettingError) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert message in str(caught.value)


def test_a_program_of_another_machine_is_not_looked_for(tmp_path: Path) -> None:
    file = written(tmp_path, '[job]\nhandler = "command"\nargv = ["/no/such"]')
    assert set(load(file, elsewhere=True)) == {"job", "smoke"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"none\.toml.*No such file"):
        load(tmp_path / "none.toml")
