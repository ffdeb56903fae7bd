"""The released versions of the contract: how each is recognised, and what it can do.

A chain keeps a contract for ever, so the services go on speaking every version that was released.
"""

import ast
import contextlib
import re
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class ContractVersion:
    """One released version.

    `file` is its source in `contracts/`. `digest` is that of its source (see `source_digest`).
    `capabilities` names what it can do beyond the first version: `stop`, `archive`, `revision`,
    `priority`, `not_before`, `after`, `pause`.
    """

    number: int
    file: str
    digest: str
    capabilities: frozenset[str]


VERSIONS = (
    ContractVersion(
        number=1,
        file="con_job_workflow.s.py",
        digest="f16d78907ed020688538f1d4ef557f91a96b6e3c39f287dce0238c20ccea1ce4",
        capabilities=frozenset(),
    ),
    ContractVersion(
        number=2,
        file="con_job_workflow_2.s.py",
        digest="8db7baa6197bbfe71446059188d3a2f79a5fcf83a0b4eadf481073669a867795",
        capabilities=frozenset(
            {"stop", "archive", "revision", "priority", "not_before", "after", "pause"}
        ),
    ),
)
"""All released versions, the oldest first."""


PARSED_CHARACTERS = 256 * 1024
"""Characters of a source that is parsed at most: what a node gives may be of any length."""


def source_digest(source: str) -> str:
    """Return the SHA-256 of a contract's source without its layout, comments and messages.

    So the source in this repository and the one that a node keeps have the same. What is no
    program, or too long for a contract of ours, has that of its text.
    """
    if len(source) <= PARSED_CHARACTERS:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            source = ast.unparse(_WithoutMessages().visit(ast.parse(source)))
    return sha256(source.encode(errors="replace")).hexdigest()


class _WithoutMessages(ast.NodeTransformer):
    """Takes out the words that a person reads: of assertions, and of answers behind their codes."""

    _ANSWER = re.compile(r"^(\w+): .+$", re.MULTILINE)

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        return ast.Assert(test=self.visit(node.test), msg=None)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str):
            return ast.Constant(self._ANSWER.sub(r"\1", node.value))
        return node


def version_of(source: str) -> ContractVersion | None:
    """Return the version that a contract's source is, None for any other contract."""
    digest = source_digest(source)
    return next((version for version in VERSIONS if version.digest == digest), None)


def number(source: str) -> int | None:
    """Return the number of the version that a contract's source is, None for any other contract."""
    version = version_of(source)
    return None if version is None else version.number


def may_stand_for(deployed: str, expected: str) -> bool:
    """Tell whether the services take one source for the other: the same, or a released version."""
    if source_digest(deployed) == source_digest(expected):
        return True
    return version_of(deployed) is not None and version_of(expected) is not None
