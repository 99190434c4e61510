"""What holds for every request and response, whatever is asked: sizes, other sites, and what the page may load."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 2**20
"""Bytes of a request: 32 texts of 4,000 characters, each of them six bytes where JSON escapes it, are 768,000."""
HEADERS = {
    # Nothing from elsewhere, and no script but the page's own: a text that got into the page as HTML could do nothing.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware: refuses large bodies, and requests that a browser makes for another site's page; adds HEADERS."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise HTTPException(413, f"the request has more than {LARGEST_BODY:,} bytes; send a shorter text")
            return message

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if Headers(scope=scope).get("sec-fetch-site") == "cross-site" and scope["method"] != "GET":
            refused = JSONResponse({"error": "a page of another site may not ask; open the playground itself"}, 403)
            await refused(scope, receive, send_guarded)
        else:
            await self.app(scope, receive_counted, send_guarded)
