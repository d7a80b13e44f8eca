"""Object settings: what obstore's clients are told beside what the user says."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

#: A request that fails is repeated for about this long; an endpoint that cannot be reached is
#: then an error.
_RETRY = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}
_TIMEOUTS = {"connect_timeout": "5s", "timeout": "10m"}
#: A service that is silent for so long is dead; one that is merely slow may take its time.  While
#: something is sent, it is silent until it has everything.
_SILENCE = {"read_timeout": "30s"}
_OWN_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
_GIVEN_CREDENTIALS = ("access_key_id", "skip_signature", "credential_provider")


def client_settings(root: str, options: Mapping[str, Any], *, sends: bool) -> dict[str, Any]:
    """Return the keyword arguments of obstore's client of a bucket or host.

    Parameters
    ----------
    root
        Its URL, such as ``s3://bucket``.
    options
        The user's; they win.
    sends
        Whether the client sends objects, which may take long over a slow connection.
    """
    client = {"allow_http": _wants_http(root, options), **_TIMEOUTS, **({} if sends else _SILENCE)}
    settings = {
        **options,
        "client_options": client | dict(options.get("client_options") or {}),
        "retry_config": _RETRY | dict(options.get("retry_config") or {}),
    }
    if root.startswith("s3://") and not _has_credentials(options):
        settings |= _profile()
    return settings


def creates_exclusively(options: Mapping[str, Any]) -> bool:
    """Whether the service is trusted to let only one of several writers create a name."""
    given = options.get("conditional_put") or os.environ.get("AWS_CONDITIONAL_PUT")
    return str(given).lower() != "disabled"


def _wants_http(root: str, options: Mapping[str, Any]) -> bool:
    """Whether the user wrote an ``http://`` endpoint: asked for in so many words, no mistake."""
    return root.startswith("http://") or any(
        str(value).startswith("http://") for value in _endpoints({**os.environ, **options})
    )


def _endpoints(settings: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in settings.items():
        if name.lower().removeprefix("aws_").startswith("endpoint"):
            yield value


def _has_credentials(options: Mapping[str, Any]) -> bool:
    given = any(option.removeprefix("aws_") in _GIVEN_CREDENTIALS for option in options)
    return given or any(name in os.environ for name in _OWN_CREDENTIALS)


def _profile() -> dict[str, Any]:
    """Return credentials of the user's AWS profile, which obstore itself does not read."""
    if importlib.util.find_spec("boto3") is None:
        return {}
    import boto3
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = boto3.Session()
    # Those of a machine in the cloud are found by obstore, with fewer requests.
    if not session.available_profiles or session.get_credentials() is None:
        return {}
    return {"credential_provider": Boto3CredentialProvider(session)}
