"""A real S3 service on this machine: moto's server, in a process of its own."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import time
import urllib.request

#: What a client is told by its environment.  moto believes any key.
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


class S3Server:
    """moto's server on a free port of the loopback interface."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._numbers = itertools.count()
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise TimeoutError("moto's server did not start")

    def new_bucket(self) -> str:
        """Create a bucket and return its name."""
        name = f"bucket-{next(self._numbers)}"
        request = urllib.request.Request(f"{self.url}/{name}", method="PUT")
        with urllib.request.urlopen(request) as answer:
            answer.read()
        return name

    def stop(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.wait()
