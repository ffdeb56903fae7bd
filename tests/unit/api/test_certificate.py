"""The certificate of a running API whose files go and come."""

import logging
from pathlib import Path

import pytest
from services.certificates import Authority

from workflow_backend.api.certificate import Certificate


def _write(folder: Path, authority: Authority) -> tuple[Path, Path]:
    pem, key, _ = authority.sign()
    files = folder / "api.pem", folder / "api-key.pem"
    files[0].write_bytes(pem)
    files[1].write_bytes(key)
    return files


def test_certificate_that_is_gone_is_logged_once_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    files = _write(tmp_path, authority)
    certificate = Certificate(*files)
    caplog.set_level(logging.INFO)
    for _ in range(2):
        files[0].unlink()
        for _ in range(3):
            certificate.reload()
        _write(tmp_path, authority)
        for _ in range(3):
            certificate.reload()
    levels = [row.levelname for row in caplog.records]
    assert levels == ["WARNING", "INFO"] * 2
