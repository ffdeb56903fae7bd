"""What a request can end in, other than its answer."""

from __future__ import annotations


class ClientError(Exception):
    """A request did not end in an answer that can be used."""


class ApiError(ClientError):
    """The API refused the request.

    `status` is the HTTP status, `detail` the API's reason, and `fields` says for each field that is
    wrong why. `retry_after` is how many seconds the API asks to be left alone; None where it
    does not say.
    """

    def __init__(
        self,
        request: str,
        status: int,
        detail: str,
        fields: dict[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.detail = detail
        self.fields = fields or {}
        self.retry_after = retry_after
        reasons = "".join(f"; {reason}" for reason in self.fields.values())
        super().__init__(f"{request}: {status} {detail}{reasons}")


class ApiUnavailable(ClientError):
    """The API gave no answer, or one that is not the API's."""


class WaitTimeout(ClientError):
    """The item was not settled in time. `status` is what it was when the wait ended."""

    def __init__(self, item_id: str, status: str, seconds: float) -> None:
        self.item_id = item_id
        self.status = status
        super().__init__(f"item {item_id} is still {status} after {seconds:g} s")
