"""Certificates for hosts of a test: `python -m tests.hosts.certificates FOLDER NAME=ADDRESS ...`.

FOLDER gets `authority.pem`, and NAME.pem with NAME.key for each host. It needs
`tests/integration` on the path.
"""

import sys
from ipaddress import ip_address
from pathlib import Path

from cryptography.x509 import IPAddress
from tls_harness import Authority


def main(folder: Path, hosts: dict[str, str]) -> None:
    """Make the folder and what is in it."""
    folder.mkdir(mode=0o700, parents=True)
    authority = Authority(folder, "authority")
    for name, address in hosts.items():
        certificate, key = authority.issue(name, IPAddress(ip_address(address)))
        (folder / f"{name}.pem").write_bytes(certificate)
        (folder / f"{name}.key").touch(mode=0o600)
        (folder / f"{name}.key").write_bytes(key)


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(pair.split("=", 1) for pair in sys.argv[2:]))
