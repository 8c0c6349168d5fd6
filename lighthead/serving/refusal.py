"""Requests that are not answered with detections: a status and a message with the way out."""

from http import HTTPStatus

UNREAD = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT)


class RefusalError(Exception):
    """A request that is refused.

    Attributes:
        status: Of HTTP.
        retry_after: Seconds after which trying again makes sense; None where it does not.
    """

    def __init__(self, status: HTTPStatus, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer; after an upload that was not read to its end, the rest would be
        taken for the next request."""
        headers = {} if self.retry_after is None else {'Retry-After': str(self.retry_after)}
        return headers | ({'Connection': 'close'} if self.status in UNREAD else {})
