"""The errors of this package, with messages that a person can act on.

The docstring of a class is its default message, and `hint` says what to do. A message may quote
other programs, so secrets are redacted.
"""

from .redaction import redact


class WorkflowError(Exception):
    """The workflow backend could not do what was asked."""

    hint = ""
    is_logged = False
    """Whether the error is in the log already."""

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(redact(message) if message else type(self).__doc__)
        if hint is not None:
            self.hint = hint

    def explain(self) -> str:
        """Return the message and the hint, if there is one, in one line."""
        return f"{self} ({self.hint})" if self.hint else str(self)


class SettingError(WorkflowError):
    """A setting is missing or wrong."""


class NodeUnavailable(WorkflowError):
    """The node does not answer."""

    hint = "check XIAN_NODE_URL and that the node runs"


class NodeUnreachable(NodeUnavailable):
    """There is no connection to the node, so nothing was sent to it."""


class NodeRefused(WorkflowError):
    """The node answered with an error."""


class IndexUnavailable(WorkflowError):
    """The node's index does not answer."""

    hint = "check that PostgreSQL runs and that the node has the index enabled"


class CapabilityMissing(WorkflowError):
    """The contract on the chain is of a version that can't do this."""

    hint = "contracts/README.md says which version can"


class WrongChain(WorkflowError):
    """The node belongs to another chain."""

    hint = "check XIAN_CHAIN_ID and XIAN_NODE_URL"


class ForeignRecord(WorkflowError):
    """The contract's records are not those of con_job_workflow."""

    hint = "check XIAN_WORKFLOW_CONTRACT"


class WalletBusy(WorkflowError):
    """Another process writes with this wallet."""

    hint = "one wallet has one writer: stop the other process or use a wallet of its own"


class WalletMissing(WorkflowError):
    """This API has no wallet: it only reads."""

    hint = "ask one that has, or give it a wallet of its own"


class TokensUnavailable(WorkflowError):
    """The API can't read its tokens just now."""

    hint = "the API's log tells why"


class JournalUnwritable(WorkflowError):
    """The processor's journal can't be written."""

    hint = "check that there is room on the disk and that this account may write there"


class Overloaded(WorkflowError):
    """More work waits for this wallet than may wait."""

    hint = "try again in a moment"


class TransactionFailed(WorkflowError):
    """The chain refused the transaction as a whole."""


class ProjectionMismatch(WorkflowError):
    """The projection belongs to another chain or contract."""

    hint = (
        "name another one by XIAN_WORKFLOW_PROJECTION_PATH or XIAN_WORKFLOW_PROJECTION_DSN, "
        "or remove this one: it can be rebuilt"
    )


class ProjectionUnavailable(WorkflowError):
    """The projection does not exist yet or can't be read."""

    hint = "start the projector: workflow-backend projector"


class ProjectionMoved(WorkflowError):
    """The projection is not at the start of this page: another process wrote or replaced it."""


class ProjectionBusy(WorkflowError):
    """Another process rebuilds this projection."""

    hint = "wait until it is done"


class ProjectorRunning(WorkflowError):
    """Another projector runs with this state folder."""

    hint = "stop it first, or set XIAN_WORKFLOW_STATE_DIR to a folder of this one's own"


class HistoryDiverged(WorkflowError):
    """The chain has another history than the one that was read before."""

    hint = (
        "if the node's home was restored to a wrong state, restore the right one; if this is the "
        "chain's history now, rebuild the projection: workflow-backend projection rebuild"
    )


class BadCursor(WorkflowError):
    """The cursor is not one of this list."""

    hint = "leave the cursor out to begin with the newest"


class RecoveryRefused(WorkflowError):
    """This would do harm, so nothing was changed."""
