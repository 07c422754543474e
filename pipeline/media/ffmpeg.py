"""Running ffmpeg as a confined child: what it reads came from outside, so it gets little time, memory and disk."""

import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipeline.domain.errors import BrokenMedia, Unavailable

MIB = 1024 * 1024
MAX_MEMORY_BYTES = 4096 * MIB
NICENESS = 10
MAX_OPEN_FILES = 256
MAX_PIXELS = 8192 * 8192

#: Ends of the child that say nothing about the file: somebody killed it, or the machine ran out of memory.
_NOT_ITS_FAULT = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
#: How ffmpeg itself ends, without a word, when its time on the CPU is over.
_STOPPED = 255
#: A file that ends too early is not always an error to ffmpeg.
_CUT_SHORT = re.compile(r"partial file|ended prematurely")
#: A track that we asked for and that is not there.
_NO_TRACK = re.compile(r"Failed to set value '0:([aVv])[^']*' for option 'map'")
_TRACKS = {"a": "sound", "V": "moving picture", "v": "picture"}


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What one run may use. Time on the wall that runs out is the machine's fault, time on the CPU the file's."""

    wall_seconds: float = 120.0
    cpu_seconds: int = 60
    output_bytes: int = 32 * MIB


def video_input(path: Path, demuxer: str) -> list[str]:
    """The arguments that open a file as nothing but what it claims to be, and follow nothing inside it."""
    # Many clips are read at once; threads for one of them would only cost more.
    bounds = ["-threads", "1", "-max_pixels", str(MAX_PIXELS)]
    return [*bounds, "-protocol_whitelist", "file", "-f", demuxer, "-i", f"file:{path}"]


def run(executable: Path, arguments: Sequence[str], allowance: Allowance) -> str:
    """Run ffmpeg to its end and return what it wrote to its output.

    Raises ``BrokenMedia`` with ffmpeg's own reason when the file is at fault, ``Unavailable`` when it is not.
    """
    command = [str(executable), "-hide_banner", "-nostdin", "-v", "error", "-xerror", *arguments]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, process_group=0)
        except OSError as error:
            raise Unavailable(f"ffmpeg can't be started: {error.strerror}") from error
        code = _wait(process, allowance)
        complaints = _start_of(errors)
        if code in _NOT_ITS_FAULT:
            raise Unavailable(f"ffmpeg was killed (signal {-code})")
        if code != 0 or _CUT_SHORT.search(complaints):
            raise BrokenMedia(_reason(complaints, code))
        output.seek(0)
        return output.read().decode(errors="replace")


def _wait(process: subprocess.Popen[bytes], allowance: Allowance) -> int:
    with process:
        try:
            _confine(process.pid, allowance)
            return process.wait(timeout=allowance.wall_seconds)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"ffmpeg was not done within {allowance.wall_seconds:.0f} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _confine(pid: int, allowance: Allowance) -> None:
    """Set the limits from outside: code between fork and exec is not safe in a process with threads."""
    if sys.platform != "linux":
        return
    # A little more than allowed before the kernel kills: SIGXCPU tells whose fault it was, SIGKILL would not.
    resource.prlimit(pid, resource.RLIMIT_CPU, (allowance.cpu_seconds, allowance.cpu_seconds + 5))
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY_BYTES,
        resource.RLIMIT_FSIZE: allowance.output_bytes,
        resource.RLIMIT_NOFILE: MAX_OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        resource.prlimit(pid, kind, (most, most))
    # Pictures can wait a little; a host that also answers requests must not.
    os.setpriority(os.PRIO_PROCESS, pid, NICENESS)


def _start_of(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read(64 * 1024).decode(errors="replace")


def _reason(complaints: str, code: int) -> str:
    """What is missing of the file, or ffmpeg's first complaint without its addresses and our paths."""
    if missing := _NO_TRACK.search(complaints):
        return f"the file has no {_TRACKS[missing[1]]} in it"
    if code == _STOPPED and not complaints:
        return "the file takes too long to decode"
    first = next((line for line in complaints.splitlines() if line.strip()), f"it ended with {code}")
    bare = re.sub(r"\[[^\]]* @ 0x[0-9a-f]+\] *", "", first)
    return "ffmpeg can't read the file: " + re.sub(r"(file:)?/\S+", "the file", bare)[:200]
