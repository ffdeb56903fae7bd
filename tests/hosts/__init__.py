"""Hosts with a real systemd, booted on this machine: `python -m tests.hosts --help`.

A host is a systemd-nspawn container with a network namespace of its own; all hosts that are booted
together hang on one bridge, with addresses of a private range, and are reached by SSH. Root alone
can boot them. Whatever happens to the process that booted them, the next one finds what it left.
"""

import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]

# Of the last run of scenarios, and of the hosts that Molecule's had.
LOGS = REPO / ".cache" / "log" / "hosts"

# What the set-up knows of troubles, mirrors and programs is of use here too.
sys.path.insert(0, str(REPO / "setup"))
