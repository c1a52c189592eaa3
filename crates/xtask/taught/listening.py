"""Where the emulator listens, and as what its callers arrive.

Its MQTT port is bound to every interface of the machine, whatever BIND_HOST says: a test run is nobody's server, so that
port is bound where the other one is.

Its gateway speaks plain HTTP. AWS's endpoints are TLS, and policies such as "Deny where aws:SecureTransport is false" are
written for callers that are not: where policies are enforced, a caller of the gateway counts as one over TLS unless it
says `X-Forwarded-Proto: http`, with which a test shows what such a policy is for.
"""

import asyncio
import contextvars
import os

from ministack import app
from ministack.services import iot

from taught.replacing import wrap

_plain: contextvars.ContextVar[bool] = contextvars.ContextVar("caller_says_plain", default=False)


def teach() -> None:
    wrap(iot, "_mtls_start_locked", _bound_like_the_gateway)
    wrap(app, "app", _reading_the_transport)
    wrap(app, "pin_request_origin", _secure_unless_told)


def _bound_like_the_gateway(_original):
    async def start():
        if iot._mtls_server is not None:
            return
        loop = asyncio.get_running_loop()
        # A port that is taken is the caller's to know: the emulator's health then says `degraded`.
        host = os.environ.get("BIND_HOST", "127.0.0.1")
        iot._mtls_server = await loop.create_server(iot._MtlsAcceptor, host=host, port=iot._mtls_port())
        iot._mtls_loop = loop

    return start


def _reading_the_transport(original):
    async def serve(scope, receive, send):
        said = dict(scope.get("headers") or []).get(b"x-forwarded-proto", b"https")
        token = _plain.set(said == b"http")
        try:
            await original(scope, receive, send)
        finally:
            _plain.reset(token)

    return serve


def _secure_unless_told(original):
    return lambda source_ip, _secure: original(source_ip, not _plain.get())
