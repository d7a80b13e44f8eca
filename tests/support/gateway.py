"""A gateway before an HTTP service: counts requests, delays them, and breaks them on demand."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

#: What may become of a request: passed on, dropped, answered with a status instead, or passed on
#: with another status reported ("lost").
Fate = int | Literal["pass", "drop"] | tuple[Literal["lost"], int]


@dataclass(frozen=True)
class Request:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]


class Gateway:
    """Passes requests on to a service.

    Parameters
    ----------
    upstream
        URL of the service.
    latency
        Seconds added to every request.
    """

    def __init__(self, upstream: str, *, latency: float = 0.0) -> None:
        self.requests: list[Request] = []
        self.sent: list[int] = []
        self.latency = latency
        self.fate: Callable[[Request], Fate] = lambda request: "pass"
        gateway = self
        host = urlsplit(upstream).netloc
        local = threading.local()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args: object) -> None:
                pass

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers))
                gateway.requests.append(request)
                if gateway.latency:
                    time.sleep(gateway.latency)
                fate = gateway.fate(request)
                if fate == "drop":
                    self.close_connection = True
                    return
                if isinstance(fate, int):
                    self._answer(fate, {}, b"")
                    return
                if not hasattr(local, "upstream"):
                    local.upstream = http.client.HTTPConnection(host, timeout=60)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                local.upstream.request(self.command, self.path, body, headers)
                answer = local.upstream.getresponse()
                content = answer.read()
                if isinstance(fate, tuple):
                    self._answer(fate[1], {}, b"")
                    return
                self._answer(answer.status, dict(answer.getheaders()), content)

            def _answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
                self.send_response_only(status)
                length = str(len(content))
                for name, value in headers.items():
                    if name.lower() == "content-length" and self.command == "HEAD":
                        length = value
                    elif name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                gateway.sent.append(len(content))
                self.wfile.write(content)

        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.serve)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End the gateway."""
        self._server.shutdown()
        self._server.server_close()
