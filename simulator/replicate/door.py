"""Who may come in to Replicate: a token, and the request rates of its account."""

from flask import Response, g, request

from simulator.limits import account_of
from simulator.parts import Parts
from simulator.replicate.documents import Problem, plain_problem, throttled
from simulator.stats import Why

COUNTED = {
    "create": "creates",
    "create_by_version": "creates",
    "get": "gets",
    "list": "lists",
    "cancel": "cancels",
    "create_file": "files",
    "list_files": "files",
    "get_file": "files",
    "delete_file": "files",
}


class Door:
    """Lets in whoever has a token and requests left."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def enter(self) -> None:
        """Raises Problem: 401, 429, or that nothing works just now."""
        endpoint = (request.endpoint or "").rpartition(".")[2]
        if endpoint == "download_file":
            return
        g.account = self._account(request.headers.get("Authorization", ""))
        counted = COUNTED.get(endpoint, "other")
        g.counted = counted
        self._parts.stats.count(counted, g.account)
        g.verdict = self._parts.gate.take(g.account, "create" if counted == "creates" else "other")
        if not g.verdict.allowed:
            self._parts.stats.refuse(g.account, counted, Why.RATE)
            raise throttled(g.verdict.reset_seconds)
        if trouble := self._parts.faults.for_request("down", {}):
            raise plain_problem(int(trouble[0]), "The service is down, on demand.")

    def _account(self, authorization: str) -> str:
        scheme, _, token = authorization.partition(" ")
        accepted = self._parts.settings.tokens
        if scheme.lower() not in {"bearer", "token"} or not token or (accepted and token not in accepted):
            detail = "You did not pass a valid authentication token"
            raise Problem(401, "Unauthenticated", detail)
        return account_of(token)


def add_rate_headers(response: Response) -> Response:
    """Tell how many requests are left, as far as anybody came in."""
    verdict = g.get("verdict")
    if verdict:
        response.headers["ratelimit-remaining"] = str(verdict.remaining)
        response.headers["ratelimit-reset"] = str(verdict.reset_seconds)
    return response
