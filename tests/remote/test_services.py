"""What services and networks do wrong, and what is said about it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from gateway import Fate, Gateway, Request

from featstore.errors import StorageError, StoreNotFoundError
from featstore.location import open_folder
from featstore.store import FeatureStore

pytest.importorskip("obstore")

#: A service on this machine where nobody listens.
NOWHERE = "http://127.0.0.1:9"


def test_a_store_that_is_not_there(bucket: str) -> None:
    with pytest.raises(StoreNotFoundError, match=f"no store at {bucket}/x.zarr"):
        FeatureStore.open(f"{bucket}/x.zarr")


def test_a_bucket_that_is_not_there(bucket: str) -> None:
    folder = open_folder("s3://nobody-has-this/x.zarr")
    for ask in (
        lambda: folder.read("x"),
        lambda: folder.write("x", [b""]),
        lambda: folder.create("x", [b""]),
        folder.files,
        folder.is_free,
    ):
        with pytest.raises(StorageError, match="bucket does not exist: create it"):
            ask()


@pytest.mark.parametrize("status", [401, 403])
def test_denied(gateway: Gateway, bucket: str, status: int) -> None:
    gateway.fate = lambda request: status
    folder = open_folder(f"{bucket}/x.zarr")
    for ask in (lambda: folder.read("x"), lambda: folder.write("x", [b""]), folder.files):
        with pytest.raises(StorageError, match="permission denied: check the credentials"):
            ask()
    with pytest.raises(StorageError, match="permission denied"):
        _ = FeatureStore(folder, {}).samples  # through zarr-python


def test_no_credentials(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    folder = open_folder(f"{bucket}/x.zarr", metadata_endpoint=NOWHERE)
    with pytest.raises(StorageError, match="no credentials: set AWS_ACCESS_KEY_ID"):
        folder.read("x")


def test_a_profile_is_found(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("boto3")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text(
        "[lab]\naws_access_key_id = somebody\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    folder = open_folder(f"{bucket}/x.zarr", metadata_endpoint=NOWHERE)
    folder.write("x", [b"1"])
    assert folder.read("x") == b"1"


def test_nobody_answers(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    started = time.monotonic()
    with pytest.raises(StorageError, match="cannot be reached: check the network"):
        FeatureStore.open(f"{bucket}/x.zarr")
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("fate", [500, 503, "drop"])
def test_passing_failures_are_overcome(gateway: Gateway, bucket: str, fate: Fate) -> None:
    folder = open_folder(f"{bucket}/x.zarr")
    failed: set[str] = set()

    def fail_once(request: Request) -> Fate:
        if request.method in failed:
            return "pass"
        failed.add(request.method)
        return fate

    gateway.fate = fail_once
    folder.write("x", [b"1"])
    assert folder.read("x") == b"1"
    assert folder.size("x") == 1
    assert failed == {"PUT", "GET", "HEAD"}


def test_a_lost_answer_does_not_make_two_winners(gateway: Gateway, bucket: str) -> None:
    """The first attempt has created the object, the second finds it: it is still ours."""
    folder = open_folder(f"{bucket}/x.zarr")
    lost: list[Request] = []

    def lose_first(request: Request) -> Fate:
        if request.method == "PUT" and not lost:
            lost.append(request)
            return ("lost", 503)
        return "pass"

    gateway.fate = lose_first
    assert folder.create("marker", [b"same"]) is True
    assert lost
    assert folder.create("marker", [b"same"]) is False


def test_services_without_conditional_writes(
    gateway: Gateway, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.fate = lambda request: 501 if "if-none-match" in request.headers else "pass"
    with pytest.raises(StorageError, match="AWS_CONDITIONAL_PUT=disabled"):
        open_folder(f"{bucket}/x.zarr").create("marker", [b"1"])
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    folder = open_folder(f"{bucket}/x.zarr")
    assert folder.create("marker", [b"1"])
    assert not folder.create("marker", [b"2"])
    assert folder.read("marker") == b"1"


def test_a_name_that_becomes_free(gateway: Gateway, bucket: str) -> None:
    """Said to exist, and deleted before we could look whose it is: try again."""
    folder = open_folder(f"{bucket}/x.zarr")
    refused: list[Request] = []

    def refuse_first(request: Request) -> Fate:
        if request.method == "PUT" and not refused:
            refused.append(request)
            return 412
        return "pass"

    gateway.fate = refuse_first
    assert folder.create("marker", [b"1"]) is True
    assert refused
