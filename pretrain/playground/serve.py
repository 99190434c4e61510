"""The playground as a server on a port of this machine."""

import ipaddress
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from data_pipeline.contract.errors import InputError
from pretrain.playground.app import make_app
from pretrain.playground.model import ShownModel

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine that only itself can use, as a request spells them."""
log = logging.getLogger("pretrain")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; `port` 0 takes a free one. Raises InputError where it cannot."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--host {host} --port {port}: cannot listen there ({reason}); choose another") from None


def serve(models: Sequence[ShownModel], listening: socket.socket, host: str, names: Sequence[str]) -> None:
    """Answers until it is interrupted.

    - `host`: of --host, under which it answers too; `names`: further ones.
    """
    port = listening.getsockname()[1]
    spelled = f"[{host}]" if ":" in host else host
    if not _is_loopback(host):
        log.warning(
            "--host %s: whoever reaches this machine can ask these models, without a password; requests must name it as %s (more with --name)",
            host,
            ", ".join([spelled, *names]),
        )
    log.info("http://%s:%d/ (Ctrl-C ends it)", spelled, port)
    config = uvicorn.Config(
        make_app(models, [*LOOPBACK, spelled, *names]),
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
