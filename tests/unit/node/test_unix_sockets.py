"""Who listens on a Unix socket is found out without touching it."""

import socket
from pathlib import Path

from workflow_backend_node.unix_sockets import listener


def test_listener_is_found_once_it_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        assert listener(path) is None  # bound, but nobody would answer
        server.listen()
        assert listener(path) is not None


def test_listener_is_none_for_the_file_of_a_dead_process(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
    assert path.exists()
    assert listener(str(path)) is None


def test_listener_of_a_new_process_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    seen = []
    for _ in range(2):
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            seen.append(listener(str(path)))
    assert None not in seen
    assert seen[0] != seen[1]
