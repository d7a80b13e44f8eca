"""A web server for a folder that knows byte ranges, as every real one does.

For benchmarks it runs by itself, and may be slow to answer:

    python tests/support/range_server.py FOLDER --latency 0.02 --bandwidth 100
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_RANGE = re.compile(r"bytes=(\d+)-(\d*)$")


class RangeHandler(SimpleHTTPRequestHandler):
    """Serves files, whole or in part; no listings."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    link: Link

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self._answer(404, b"", 0)
            return
        size = path.stat().st_size
        start, stop, status = 0, size, 200
        asked = _RANGE.match(self.headers.get("Range") or "")
        if asked:
            start, status = int(asked[1]), 206
            stop = min(int(asked[2]) + 1 if asked[2] else size, size)
            if start >= size:
                self._answer(416, b"", size)
                return
        with path.open("rb") as file:
            content = os.pread(file.fileno(), stop - start, start)
        self._answer(status, content, size, start)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, content: bytes, size: int, start: int = 0) -> None:
        self.send_response_only(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{start + len(content) - 1}/{size}")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        self.link.carry(len(content))
        if self.command != "HEAD":
            self.wfile.write(content)


class Link:
    """The way to the server, which all requests share.

    Parameters
    ----------
    latency
        Seconds there and back.
    bandwidth
        Bytes per second; 0 for no limit.
    """

    def __init__(self, latency: float = 0.0, bandwidth: float = 0.0) -> None:
        self._latency = latency
        self._bandwidth = bandwidth
        self._free_at = 0.0
        self._lock = threading.Lock()

    def carry(self, nbytes: int) -> None:
        """Take as long as an answer of this size takes."""
        now = time.monotonic()
        arrives = now + self._latency
        if self._bandwidth:
            with self._lock:
                self._free_at = max(now, self._free_at) + nbytes / self._bandwidth
                arrives += self._free_at - now
        if arrives > now:
            time.sleep(arrives - now)


class RangeServer:
    """The server, in threads of this process."""

    def __init__(self, folder: Path, link: Link | None = None) -> None:
        handler = type("Handler", (RangeHandler,), {"link": link or Link()})
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
        )
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def start(self) -> RangeServer:
        """Serve in the background."""
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        """End the server."""
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0.0, help="Seconds.")
    parser.add_argument("--bandwidth", type=float, default=0.0, help="MB/s; 0 for no limit.")
    options = parser.parse_args()
    served = RangeServer(options.folder, Link(options.latency, 1e6 * options.bandwidth))
    print(served.url, flush=True)
    served.server.serve_forever()
