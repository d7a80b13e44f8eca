"""Object errors: what services and networks answer, as errors that say what to do."""

from __future__ import annotations

from featstore.errors import CorruptStoreError, StorageError

_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_KEYS = (
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE, with boto3 installed; or "
    "AWS_SKIP_SIGNATURE=true for public buckets), GOOGLE_APPLICATION_CREDENTIALS, or "
    "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
)
#: What occurs in an answer, and what is to be done then; the first that fits.
_ADVICE = (
    (_NO_BUCKET, "the bucket does not exist: create it, or check its name and the endpoint"),
    (
        # Without keys, clients ask the machine they run on, which may be one of the cloud's.
        ("/latest/api/token", "/latest/meta-data", "169.254.", "/computeMetadata/"),
        f"no credentials: set {_KEYS}",
    ),
    (
        ("401 Unauthorized", "403 Forbidden", "AccessDenied", "InvalidAccessKeyId"),
        f"permission denied: check the credentials ({_KEYS}) and their rights to read, write, list "
        "and delete there",
    ),
    (
        ("501 Not Implemented", "<Code>NotImplemented</Code>"),
        "the service cannot create an object on condition that there is none, by which several "
        "writers agree: set AWS_CONDITIONAL_PUT=disabled, and let only one process write to a "
        "store at a time",
    ),
    (
        ("Range request not supported",),
        "the server sends whole files only: use one that knows byte ranges",
    ),
    (
        ("error sending request", "timed out", "TimedOut"),
        "the service cannot be reached: check the network and the endpoint (AWS_ENDPOINT_URL for "
        "anything but AWS itself)",
    ),
    (("incorrectly configured region",), "the bucket is in another region: set AWS_REGION"),
)


def object_error(error: Exception, place: str) -> StorageError:
    """Turn an error of obstore into one that says what to do.

    Parameters
    ----------
    error
        Whatever obstore raised.
    place
        URL that it is about.
    """
    text = str(error)
    advice = next(
        (advice for marks, advice in _ADVICE if any(mark in text for mark in marks)),
        "the service refused",
    )
    # What follows is the same once more, as nested Rust structures.
    reason = " ".join(text.partition("\n\nDebug source")[0].split())
    return StorageError(
        f"{place}: {advice}; then run the same command again (what was committed is kept). "
        f"It said: {reason[:300]}"
    )


def is_missing_bucket(error: Exception) -> bool:
    """Whether it is the bucket that is not there, not an object in it."""
    return any(mark in str(error) for mark in _NO_BUCKET)


def is_past_end(error: Exception) -> bool:
    """Whether bytes were asked for that begin behind the end of the object."""
    return "416 Range Not Satisfiable" in str(error) or "InvalidRange" in str(error)


def short_object(place: str, wanted: int, got: int) -> CorruptStoreError:
    """Return the error for an object that is shorter than what was asked of it."""
    return CorruptStoreError(
        f"{place} is truncated: {got} of {wanted} bytes that were asked for are there; "
        "`featstore verify` lists all damage"
    )
