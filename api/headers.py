"""What browsers are told about every answer: nothing runs, loads or is framed that is not ours."""

from urllib.parse import urlsplit

from flask import Flask, Response, request

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_DATA_ONLY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_AMAZON = "https://*.amazonaws.com"
_YEAR_SECONDS = 365 * 86_400


def install(app: Flask, *, files_url: str) -> None:
    """Send the headers with every answer of this app; ``files_url`` is where links to clips lead, empty for Amazon."""
    page = page_policy(files_url)

    def add(response: Response) -> Response:
        for name, value in _ALWAYS.items():
            response.headers.setdefault(name, value)
        policy = page if response.mimetype == "text/html" else _DATA_ONLY
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Cache-Control", "no-store")
        if request.is_secure:
            response.headers["Strict-Transport-Security"] = f"max-age={_YEAR_SECONDS}"
        return response

    app.after_request(add)


def page_policy(files_url: str) -> str:
    """The policy of the dashboard: its own scripts, styles and sockets, and clips and pictures from storage."""
    parts = urlsplit(files_url)
    files = f"{parts.scheme}://{parts.netloc}" if parts.netloc else _AMAZON
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' {files}",
        "media-src": f"'self' {files}",
        "connect-src": "'self'",  # sockets of the same origin included
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
