"""The files that a customer uploads to be used as inputs."""

import hashlib
import json
import shutil
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

LIFE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What is known about one uploaded file."""

    id: str
    account: str
    name: str
    content_type: str
    size: int
    sha256: str
    md5: str
    metadata: dict[str, Any]
    created_at: str

    @property
    def created(self) -> datetime:
        return datetime.fromisoformat(self.created_at)

    @property
    def expires(self) -> datetime:
        return self.created + LIFE


class Uploads:
    """A folder with two files per upload: its bytes, and what is known about it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def add(
        self, *, upload_id: str, account: str, name: str, content_type: str, data: bytes, metadata: dict[str, Any]
    ) -> Upload:
        """Keep a file."""
        upload = Upload(
            id=upload_id,
            account=account,
            name=name,
            content_type=content_type,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
            metadata=metadata,
            created_at=datetime.now(UTC).isoformat(),
        )
        with self._lock:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.path(upload_id).write_bytes(data)
            self._about(upload_id).write_text(json.dumps(asdict(upload)), encoding="utf-8")
        return upload

    def get(self, upload_id: str) -> Upload | None:
        about = self._about(upload_id)
        if not upload_id.isalnum() or not about.exists():
            return None
        upload = Upload(**json.loads(about.read_text(encoding="utf-8")))
        return upload if datetime.now(UTC) < upload.expires else None

    def newest_first(self, account: str) -> list[Upload]:
        """All files of an account."""
        found = (self.get(about.stem) for about in self._folder.glob("*.json"))
        return sorted((item for item in found if item and item.account == account), key=_age, reverse=True)

    def delete(self, upload_id: str) -> None:
        with self._lock:
            self.path(upload_id).unlink(missing_ok=True)
            self._about(upload_id).unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget every file."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def path(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.bin"

    def _about(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.json"


def _age(upload: Upload) -> str:
    return upload.created_at
