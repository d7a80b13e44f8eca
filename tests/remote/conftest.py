"""Services on this machine that the tests of remote stores talk to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway import Gateway
from range_server import RangeServer
from s3_server import KEYS, S3Server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    pytest.importorskip("moto", reason="moto[server] is not installed")
    pytest.importorskip("flask", reason="moto[server] is not installed")
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a new bucket; the environment says where it is and how to get in."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3.url}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.new_bucket()}"


@pytest.fixture
def gateway(s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """Return what stands between the client and the service."""
    gateway = Gateway(s3.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.url)
    yield gateway
    gateway.stop()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[RangeServer]:
    """Return a web server for the files in `tmp_path`."""
    server = RangeServer(tmp_path).start()
    yield server
    server.stop()
