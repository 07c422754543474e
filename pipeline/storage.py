"""Our files in S3: what is stored, and the links under which people fetch it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3.session
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.domain.errors import Unavailable

DAY_SECONDS = 86_400

#: A link answers with the type of its key's ending, whatever the object was stored as: never as HTML.
CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".aac": "audio/aac",
    ".m4a": "audio/mp4",
    ".weba": "audio/webm",
    ".json": "application/json",
}

_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=3,
    read_timeout=30,
    retries={"total_max_attempts": 3, "mode": "standard"},
    # Servers other than Amazon's trip over checksums that nobody asked for.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
_HASTY = _CONFIG.merge(Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1, "mode": "standard"}))
_IN_THIS_THREAD = TransferConfig(use_threads=False)
# boto3 cuts what is larger into parts; for what is not, its machinery costs a third of the call.
_LARGE_BYTES = _IN_THIS_THREAD.multipart_threshold
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
_EXISTS_ALREADY = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


@dataclass(frozen=True, kw_only=True)
class Storage:
    """An S3 account and its buckets; raises ``Unavailable`` for whatever it can't reach, do or find.

    ``endpoint_url`` None is Amazon itself, keys None are the machine's own role. ``public_endpoint_url`` is the
    address under which the links' readers know the same server. Safe to share between threads.
    """

    buckets: tuple[str, ...]
    endpoint_url: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    region: str = "us-east-1"
    public_endpoint_url: str | None = None
    link_seconds: int = DAY_SECONDS

    def ensure_buckets(self) -> None:
        """Create the buckets that are missing."""
        with _translated():
            for bucket in self.buckets:
                if not _found(lambda: self._client.head_bucket(Bucket=bucket)):  # noqa: B023 -- called at once
                    self._create(bucket)

    def put_file(self, bucket: str, key: str, path: Path, content_type: str) -> None:
        """Store a file from disk, in parts when it is large."""
        with _translated():
            if path.stat().st_size < _LARGE_BYTES:
                with path.open("rb") as file:
                    self._client.put_object(Bucket=bucket, Key=key, Body=file, ContentType=content_type)
                return
            self._client.upload_file(
                str(path), bucket, key, ExtraArgs={"ContentType": content_type}, Config=_IN_THIS_THREAD
            )

    def put_bytes(self, bucket: str, key: str, content: bytes, content_type: str) -> None:
        """Store a small object that can wait: tried once and not for long, so that nobody is held up by it."""
        with _translated():
            self._hasty_client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)

    def supersede(self, bucket: str, key: str) -> None:
        """Mark an object that another took the place of, for a rule of its bucket."""
        mark = {"TagSet": [{"Key": "dailies", "Value": "superseded"}]}
        with _translated():
            self._hasty_client.put_object_tagging(Bucket=bucket, Key=key, Tagging=mark)

    def get_file(self, bucket: str, key: str, path: Path) -> None:
        """Fetch an object to disk."""
        with _translated():
            self._client.download_file(bucket, key, str(path), Config=_IN_THIS_THREAD)

    def exists(self, bucket: str, key: str) -> bool:
        """Whether there is such an object."""
        with _translated():
            return _found(lambda: self._client.head_object(Bucket=bucket, Key=key))

    def link(self, bucket: str, key: str, *, filename: str | None = None) -> str:
        """A presigned link, good for ``link_seconds`` (R39); with a filename the browser saves it under that."""
        suffix = Path(key).suffix.lower()
        params = {
            "Bucket": bucket,
            "Key": key,
            "ResponseContentType": CONTENT_TYPES.get(suffix, "application/octet-stream"),
        }
        if filename is not None:
            params["ResponseContentDisposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        with _translated():
            url: str = self._public_client.generate_presigned_url(
                "get_object", Params=params, ExpiresIn=self.link_seconds
            )
        return url

    def ping(self) -> None:
        """Raise ``Unavailable`` unless the first bucket is there and ours."""
        with _translated():
            self._client.head_bucket(Bucket=self.buckets[0])

    @cached_property
    def _client(self) -> Any:
        return self._client_for(self.endpoint_url)

    @cached_property
    def _hasty_client(self) -> Any:
        return self._client_for(self.endpoint_url, _HASTY)

    @cached_property
    def _public_client(self) -> Any:
        return self._client_for(self.public_endpoint_url or self.endpoint_url)

    def _client_for(self, endpoint_url: str | None, config: Config = _CONFIG) -> Any:
        # A session of its own: the shared one is not safe to build clients from in several threads.
        return boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=config,
        )

    def _create(self, bucket: str) -> None:
        # Amazon's oldest region is the one that must not be named.
        place = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        elsewhere = {} if self.region == "us-east-1" else place
        try:
            self._client.create_bucket(Bucket=bucket, **elsewhere)
        except ClientError as error:
            if _code(error) not in _EXISTS_ALREADY:
                raise


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what boto3 raises into our own error; its messages name keys and hosts, so they stay in the cause."""
    try:
        yield
    except ClientError as error:
        missing = _code(error) in _MISSING
        raise Unavailable("it is not in storage" if missing else f"storage refused: {_code(error)}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise Unavailable(f"storage does not answer: {type(error).__name__}") from error


def _found(head: Callable[[], object]) -> bool:
    try:
        head()
    except ClientError as error:
        if _code(error) in _MISSING:
            return False
        raise
    return True


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
