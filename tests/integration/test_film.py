"""Real ffmpeg on small clips made here: how scenes become a film, what is copied, and what is heard."""

import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import pytest

from pipeline.domain.errors import BrokenMedia
from pipeline.media import Clip, Media, ffmpeg
from pipeline.media.film import Scene

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}
Folder = Path


def run(*words: str) -> bytes:
    return subprocess.run([FFMPEG, "-v", "error", "-nostdin", *words], check=True, capture_output=True).stdout


def clip(
    folder: Folder,
    colour: str,
    seconds: float = 1,
    *,
    size: str = "160x90",
    rate: int = 24,
    pitch: int = 0,
    volume: float = 1,
    codec: list[str] | None = None,
    kind: str = "mp4",
) -> Path:
    """A clip of one colour in which nothing stands still; with a tone where a pitch is given."""
    out = folder / f"{colour}-{seconds}-{size}-{rate}-{pitch}.{kind}"
    moving = f"color=c={colour}:s={size}:r={rate},noise=alls=12:allf=t"
    tone = ["-f", "lavfi", "-t", str(seconds), "-i", f"sine=frequency={pitch},volume={volume}"] if pitch else []
    run("-f", "lavfi", "-t", str(seconds), "-i", moving, *tone, *(codec or X264), "-c:a", "aac", "-y", str(out))
    return out


def words(folder: Folder, seconds: float, kind: str = "wav", volume: float = 0.2) -> Path:
    """What somebody says: a tone of 880 Hz."""
    out = folder / f"words-{seconds}.{kind}"
    run("-f", "lavfi", "-t", str(seconds), "-i", f"sine=frequency=880,volume={volume}", "-y", str(out))
    return out


def colour_at(film: Path, seconds: float, crop: str = "iw/2:ih/2") -> str:
    """The colour that is seen at a moment, in the middle or in another part of the picture."""
    # As a player shows it, for whom a picture stands until the next one comes.
    picture = f"fps=48,trim=start={seconds:.3f},crop={crop},scale=1:1"
    shown = run("-i", str(film), "-vf", picture, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return min(COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], shown, strict=True)))


def loudness(film: Path, begin: float = 0, seconds: float = 600) -> float:
    """By EBU R128, in LUFS; -70 is silence."""
    part = f"atrim=start={begin}:duration={seconds},ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=-"
    return float(
        re.findall(r"r128\.I=(-?[\d.]+)", run("-i", str(film), "-af", part, "-f", "null", "/dev/null").decode())[-1]
    )


def has_sound(path: Path) -> bool:
    listing = [*ffmpeg.video_input(path, "mov"), "-map", "0:a:0?", "-map", "0:v:0", "-f", "framecrc", "pipe:1"]
    return "media_type 0: audio" in ffmpeg.run(Path(FFMPEG), listing, ffmpeg.Allowance())


@pytest.fixture(scope="module")
def media() -> Media:
    return Media(FFMPEG)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every command line that ffmpeg is run with."""
    told: list[list[str]] = []
    real: Callable[..., str] = ffmpeg.run

    def noted(executable: Path, arguments: list[str], allowance: ffmpeg.Allowance) -> str:
        told.append(list(arguments))
        return real(executable, arguments, allowance)

    monkeypatch.setattr(ffmpeg, "run", noted)
    return told


def copied(media: Media, scenes: list[Scene], out: Path) -> Clip:
    """The film of scenes whose pictures need no encoding; every picture of it can be decoded."""
    film, why = media.film(scenes, out)
    assert why is None
    assert media.check_clip(out) == film
    return film


X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none"]


@pytest.mark.requirement("R48")
@pytest.mark.parametrize("named", ["hev1", "hvc1"])
def test_a_film_of_hevc_clips_is_named_as_apples_players_know_it_and_nothing_is_encoded(
    media: Media, tmp_path: Path, named: str
) -> None:
    clips = [clip(tmp_path, colour, codec=[*X265, "-tag:v", named]) for colour in ("red", "lime")]
    assert named.encode() in clips[0].read_bytes()
    film = copied(media, [Scene(clip=clips[0], seconds=0.5), Scene(clip=clips[1], seconds=1.5)], tmp_path / "film.mp4")
    assert film.duration_seconds == pytest.approx(2.0, abs=0.3)
    content = (tmp_path / "film.mp4").read_bytes()
    assert (b"hvc1" in content, b"hev1" in content) == (True, False)


@pytest.mark.requirement("R48", "R17")
def test_clips_that_fit_together_are_joined_in_order_without_encoding(
    media: Media, tmp_path: Path, commands: list[list[str]]
) -> None:
    out = tmp_path / "film.mp4"
    film = copied(media, [Scene(clip=clip(tmp_path, colour), seconds=1) for colour in ("red", "lime", "blue")], out)
    assert film.duration_seconds == pytest.approx(3.0, abs=0.1)
    assert not any("libx264" in arguments for arguments in commands)
    assert [colour_at(out, at) for at in (0.5, 1.5, 2.5)] == ["red", "lime", "blue"]
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.requirement("R48", "R43")
def test_clips_that_are_too_long_or_too_short_get_their_length_without_encoding(media: Media, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    scenes = [
        Scene(clip=clip(tmp_path, "red", 2.5), seconds=1.5),
        Scene(clip=clip(tmp_path, "lime", 1), seconds=2),
        Scene(clip=clip(tmp_path, "blue", 1), seconds=1.5),
    ]
    film = copied(media, scenes, out)
    assert film.duration_seconds == pytest.approx(5.0, abs=0.2)
    moments = {0.1: "red", 1.35: "red", 1.65: "lime", 2.5: "lime", 3.35: "lime", 3.65: "blue", 4.4: "blue"}
    assert {at: colour_at(out, at) for at in moments} == moments


@pytest.mark.requirement("R48")
@pytest.mark.parametrize("seconds", [0.5, 0.8, 1.0, 1.21, 1.7, 1.95])
def test_a_cut_leaves_no_picture_out_and_is_near_where_it_should_be(
    media: Media, tmp_path: Path, seconds: float
) -> None:
    long = clip(tmp_path, "red", 2)
    out = tmp_path / "film.mp4"
    film = copied(media, [Scene(clip=long, seconds=seconds), Scene(clip=clip(tmp_path, "blue"), seconds=1)], out)
    assert film.duration_seconds == pytest.approx(seconds + 1, abs=0.25)
    listing = run("-i", str(out), "-map", "0:V:0", "-c", "copy", "-f", "framecrc", "-").decode()
    shown = sorted(int(line.split(",")[2]) for line in listing.splitlines() if line.startswith("0,"))
    assert len({after - before for before, after in pairwise(shown)}) == 1


@pytest.mark.requirement("R48")
def test_clips_of_many_shapes_become_a_film_of_the_jobs_ratio_and_it_says_why(media: Media, tmp_path: Path) -> None:
    vp8 = ["-c:v", "libvpx", "-deadline", "realtime"]
    scenes = [
        Scene(clip=clip(tmp_path, "red", 1, size="90x160", rate=30), seconds=1),
        Scene(clip=clip(tmp_path, "lime", 1, size="160x90"), seconds=1.5),
        Scene(clip=clip(tmp_path, "blue", 2, size="160x90"), seconds=1),
    ]
    out = tmp_path / "film.mp4"
    film, why = media.film(scenes, out, ratio="16:9")
    assert why == "the clips are of 2 sizes"
    assert (film.width, film.height) == (160, 90)
    assert film.duration_seconds == pytest.approx(3.5, abs=0.1)
    assert [colour_at(out, at) for at in (0.5, 1.2, 2.4, 3.0)] == ["red", "lime", "lime", "blue"]
    assert colour_at(out, 0.5, "20:90:0:0") == "black"
    assert media.check_clip(out) == film
    upright, _ = media.film(scenes, out, ratio="9:16")
    assert (upright.width, upright.height) == (90, 160)
    square, _ = media.film(scenes, out, ratio="1:1")
    assert (square.width, square.height) == (90, 90)
    foreign = clip(tmp_path, "blue", codec=vp8, kind="webm")
    _, why = media.film([Scene(clip=foreign)], out)
    assert why == "vp8 can't be copied into a film"


@pytest.mark.requirement("R48")
@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"rate": 30}, "the clips are of 2 frame rates"),
        (
            {"codec": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"]},
            "the clips are of 2 codecs",
        ),
        ({"codec": [*X264, "-profile:v", "baseline"]}, "the clips are of 2 encodings"),
    ],
    ids=["rate", "codec", "profile"],
)
def test_clips_that_only_look_alike_are_encoded_again(
    media: Media, tmp_path: Path, other: dict[str, object], why: str
) -> None:
    scenes = [Scene(clip=clip(tmp_path, "red")), Scene(clip=clip(tmp_path, "blue", **other))]  # type: ignore[arg-type]
    film, said = media.film(scenes, tmp_path / "film.mp4")
    assert said == why
    assert film.duration_seconds == pytest.approx(2.0, abs=0.1)


@pytest.mark.requirement("R48")
def test_a_clip_with_nothing_but_one_picture_at_its_start_is_encoded_to_be_cut(media: Media, tmp_path: Path) -> None:
    rare = [*X264, "-bf", "16", "-x264-params", "b-adapt=0:bframes=16:keyint=300:scenecut=0"]
    scenes = [Scene(clip=clip(tmp_path, "red", 2, codec=rare), seconds=0.36)]
    film, why = media.film(scenes, tmp_path / "film.mp4")
    assert film.duration_seconds == pytest.approx(0.36, abs=0.26)
    assert why in {None, "clip 1 can't be cut to 0.4 s as it is"}


@pytest.mark.requirement("R48")
def test_a_clip_without_sound_is_silent_beside_clips_with_it(media: Media, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    loud = clip(tmp_path, "red", 2, pitch=440)
    film = copied(media, [Scene(clip=loud), Scene(clip=clip(tmp_path, "lime", 2)), Scene(clip=loud)], out)
    assert film.duration_seconds == pytest.approx(6.0, abs=0.1)
    assert loudness(out, 0.5, 1) == pytest.approx(-16, abs=1)
    assert loudness(out, 2.5, 1) < -60
    assert loudness(out, 4.5, 1) == pytest.approx(-16, abs=1)


@pytest.mark.requirement("R48")
def test_a_film_in_which_nothing_is_heard_has_no_sound(media: Media, tmp_path: Path) -> None:
    copied(media, [Scene(clip=clip(tmp_path, "red"))], tmp_path / "film.mp4")
    assert not has_sound(tmp_path / "film.mp4")


@pytest.mark.requirement("R48")
def test_quiet_and_loud_scenes_are_equally_loud_in_the_film(media: Media, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    pitches = {440: 0.2, 550: 1.0, 660: 6.0}
    scenes = [Scene(clip=clip(tmp_path, "red", 2, pitch=pitch, volume=volume)) for pitch, volume in pitches.items()]
    copied(media, scenes, out)
    assert [loudness(out, at, 1) for at in (0.5, 2.5, 4.5)] == pytest.approx([-16, -16, -16], abs=1)
    assert loudness(out) == pytest.approx(-16, abs=1)


@pytest.mark.requirement("R48")
@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a", "ogg", "flac"])
def test_words_are_spoken_over_their_scene_whatever_they_came_as(media: Media, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "film.mp4"
    scenes = [
        Scene(clip=clip(tmp_path, "red"), seconds=1),
        Scene(clip=clip(tmp_path, "lime", 2), seconds=2, narration=words(tmp_path, 1.2, kind)),
        Scene(clip=clip(tmp_path, "blue"), seconds=1),
    ]
    film = copied(media, scenes, out)
    assert film.duration_seconds == pytest.approx(4, abs=0.1)
    assert loudness(out, 1.1, 1) == pytest.approx(-16, abs=1.5)
    assert [loudness(out, at, 0.6) < -55 for at in (0.2, 2.35, 3.2)] == [True, True, True]


@pytest.mark.requirement("R48")
def test_a_scene_is_held_until_its_words_are_over(media: Media, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    scenes = [
        # There is more of the clip than was meant to be seen: it goes on before its last picture is held.
        Scene(clip=clip(tmp_path, "red", 3), seconds=1, narration=words(tmp_path, 2)),
        Scene(clip=clip(tmp_path, "lime", 1), seconds=1, narration=words(tmp_path, 2.5)),
        Scene(clip=clip(tmp_path, "blue", 1), seconds=1),
    ]
    film = copied(media, scenes, out)
    assert film.duration_seconds == pytest.approx(2.25 + 2.75 + 1, abs=0.25)
    moments = {2.0: "red", 2.6: "lime", 4.7: "lime", 5.3: "blue"}
    assert {at: colour_at(out, at) for at in moments} == moments
    assert loudness(out, 3.5, 0.9) == pytest.approx(-16, abs=1.5)


@pytest.mark.requirement("R48")
def test_a_clips_own_sound_steps_back_behind_the_words(media: Media, tmp_path: Path) -> None:
    noisy = clip(tmp_path, "red", 3, pitch=200, volume=4)
    out = tmp_path / "film.mp4"
    copied(media, [Scene(clip=noisy, seconds=3, narration=words(tmp_path, 2, volume=2))], out)

    def heard(filter_: str, begin: float) -> float:
        part = (
            f"atrim=start={begin}:duration=1,{filter_},ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=-"
        )
        told = run("-i", str(out), "-af", part, "-f", "null", "/dev/null").decode()
        return float(re.findall(r"r128\.I=(-?[\d.]+)", told)[-1])

    assert heard("highpass=f=600:p=2", 0.5) > heard("lowpass=f=300:p=2", 0.5) + 3


@pytest.mark.requirement("R48")
def test_sound_and_picture_stay_together_over_many_cut_scenes(media: Media, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    loud, quiet = clip(tmp_path, "red", 1.3, pitch=440), clip(tmp_path, "lime", 1.3)
    copied(media, [Scene(clip=each, seconds=0.97) for each in [loud, quiet] * 8], out)
    listing = run(
        "-i", str(out), "-af", "silencedetect=n=-45dB:d=0.3,ametadata=print:file=-", "-f", "null", "/dev/null"
    )
    silences = [float(at) for at in re.findall(r"silence_start=([\d.]+)", listing.decode())]
    seen = [at for at in silences if colour_at(out, at + 0.15) == colour_at(out, at + 0.6) == "lime"]
    assert len(silences) == len(seen) == 8


@pytest.mark.requirement("R48")
def test_a_film_that_could_not_be_made_leaves_nothing_behind(media: Media, tmp_path: Path) -> None:
    good, bad = clip(tmp_path, "red"), tmp_path / "bad.mp4"
    bad.write_bytes(b"#EXTM3U\nfile:///etc/hostname\n")
    before = sorted(tmp_path.iterdir())
    for scenes in ([Scene(clip=good), Scene(clip=bad)], [Scene(clip=good, narration=bad)], []):
        with pytest.raises(BrokenMedia):
            media.film(scenes, tmp_path / "film.mp4")
    assert sorted(tmp_path.iterdir()) == before
