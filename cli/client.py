"""The way from the command line to a Dailies server: every call of the API that a person needs, over HTTP."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import requests
from requests.auth import AuthBase

from pipeline.domain.errors import DailiesError

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_FIRST_ERROR, _FIRST_SERVER_ERROR = 400, 500
_GATEWAY_ERRORS = frozenset({502, 503, 504})


class Refused(DailiesError):
    """The server said no. ``errors`` has a row for each field: field, value, allowed, message."""

    def __init__(
        self,
        code: str,
        detail: str,
        errors: tuple[Mapping[str, Any], ...] = (),
        request_id: str | None = None,
        *,
        retryable: bool = False,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.request_id = request_id
        self.retryable = retryable


class Unreachable(DailiesError):
    """No Dailies server answered; whether it took what was sent is not known."""


@dataclass(frozen=True)
class Client:
    """A server and a key for it. Keeps no connection open, so threads may share it.

    Every call raises ``Refused`` or ``Unreachable``; answers are the JSON of the API.
    """

    base_url: str
    api_key: str = field(default="", repr=False)

    def submit(self, body: Any, idempotency_key: str | None = None) -> dict[str, Any]:
        """Order a job. With the same idempotency key the same body is never ordered twice."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        return self._call("POST", "/v1/jobs", body=body, headers=headers)

    def dry_run(self, body: Any) -> dict[str, Any]:
        """What a job would cost, and how each scene would be asked for; nothing is stored."""
        return self._call("POST", "/v1/jobs", body=body, query={"dry_run": "true"})

    def job(self, job_id: str) -> dict[str, Any]:
        """The job document."""
        return self._call("GET", _path(job_id))

    def jobs(self, *, state: str | None = None, start: int = 0, limit: int = 50) -> dict[str, Any]:
        """A page of jobs, newest first."""
        return self._call("GET", "/v1/jobs", query={"state": state, "start": start, "limit": limit})

    def clip(self, job_id: str, index: int) -> dict[str, Any]:
        """One clip with its attempts; clips count from 0."""
        return self._call("GET", f"{_path(job_id)}/clips/{index}")

    def retry(
        self,
        job_id: str,
        index: int,
        *,
        prompt: str | None = None,
        seed: int | None = None,
        model: str | None = None,
    ) -> dict[str, Any]:
        """Render one failed clip anew, perhaps changed; the job document."""
        changes = {"prompt": prompt, "seed": seed, "model": model}
        return self._call("POST", f"{_path(job_id)}/clips/{index}/retry", body=_told(changes))

    def resume(self, job_id: str) -> dict[str, Any]:
        """Render what a job has no clip for yet; the job document."""
        return self._call("POST", f"{_path(job_id)}/resume")

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Stop a job; the job document."""
        return self._call("POST", f"{_path(job_id)}/cancel")

    def models(
        self,
        *,
        provider: str | None = None,
        mode: str | None = None,
        aspect_ratio: str | None = None,
        duration: float | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of the catalogue that can do all of this."""
        query = {"provider": provider, "mode": mode, "aspect_ratio": aspect_ratio, "duration": duration}
        rows: list[dict[str, Any]] = self._call("GET", "/v1/models", query=query)["models"]
        return rows

    def accounts(self) -> list[dict[str, Any]]:
        """How every account stands."""
        rows: list[dict[str, Any]] = self._call("GET", "/v1/accounts")["accounts"]
        return rows

    def account(self, name: str) -> dict[str, Any]:
        """How one account stands."""
        return self._call("GET", f"/v1/accounts/{quote(name, safe='')}")

    def ready(self) -> dict[str, Any]:
        """What the server says about its own parts, also when some of them are away."""
        return _document(self._send("GET", "/readyz"), self.base_url)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        answer = self._send(method, path, json=body, params=_told(query or {}), headers=headers)
        if answer.status_code >= _FIRST_ERROR:
            raise _refusal(answer, self.base_url)
        return _document(answer, self.base_url)

    def _send(self, method: str, path: str, **rest: Any) -> requests.Response:
        with requests.Session() as session:
            # a proxy of the machine knows nothing about its loopback
            session.trust_env = not _is_loopback(self.base_url)
            session.auth = _Bearer(self.api_key)
            try:
                return session.request(
                    method,
                    self.base_url.rstrip("/") + path,
                    timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                    allow_redirects=False,
                    **rest,
                )
            except (requests.RequestException, UnicodeError) as error:
                raise Unreachable(f"{self.base_url} does not answer: {_plainly(error)}") from error


@dataclass(frozen=True)
class _Bearer(AuthBase):
    """As an auth object, or requests would prefer what ~/.netrc knows about the host."""

    key: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.key:
            request.headers["Authorization"] = f"Bearer {self.key}"
        return request


def _path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _document(answer: requests.Response, base_url: str) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    where = f", a redirect to {answer.headers['Location']}" if "Location" in answer.headers else ""
    raise Unreachable(f"{base_url} answered {answer.status_code}{where}, but not as a Dailies server does")


def _refusal(answer: requests.Response, base_url: str) -> Refused | Unreachable:
    try:
        problem = _document(answer, base_url)
    except Unreachable as unreachable:
        return unreachable
    if "code" not in problem and answer.status_code in _GATEWAY_ERRORS:
        return Unreachable(f"{base_url} answered {answer.status_code}: the server behind it is away")
    return Refused(
        str(problem.get("code") or f"http_{answer.status_code}"),
        str(problem.get("detail") or problem.get("title") or f"the server answered {answer.status_code}"),
        tuple(each for each in problem.get("errors") or () if isinstance(each, dict)),
        problem.get("request_id"),
        retryable=bool(problem.get("retryable")) or answer.status_code >= _FIRST_SERVER_ERROR,
    )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _plainly(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return "it takes too long"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate can't be trusted"
    if isinstance(error, requests.ConnectionError):
        return "nothing listens there, or the network is away"
    return str(error) or type(error).__name__
