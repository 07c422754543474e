"""Where a clip can be cut without missing a picture: packets come in another order than they are shown."""

import pytest

from pipeline.media.track import read_tracks

HEAD = "#tb 0: 1/10\n#media_type 0: video\n#codec_id 0: h264\n#dimensions 0: 160x90\n"


def listing(*shown_at: int) -> str:
    """A listing of packets in this order, each shown for a tick."""
    return HEAD + "".join(f"0, {n}, {at}, 1, 100, 0xabc\n" for n, at in enumerate(shown_at))


@pytest.mark.requirement("R48")
@pytest.mark.parametrize(
    ("shown_at", "seconds", "packets", "cut"),
    [
        ((0, 1, 2, 3, 4, 5), 0.31, 3, 0.3),
        # I P B B P B B: after the fourth and the seventh packet nothing is missing.
        ((0, 3, 1, 2, 6, 4, 5), 0.3, 4, 0.4),
        ((0, 3, 1, 2, 6, 4, 5), 0.6, 7, 0.7),
        ((0, 3, 1, 2, 6, 4, 5), 0.1, 1, 0.1),
        # A film that begins later is counted from its beginning.
        ((5, 6, 7), 0.2, 2, 0.2),
        # One picture was lost on the way: only the end is whole.
        ((0, 2, 3), 0.3, 3, 0.4),
    ],
)
def test_a_cut_is_where_no_picture_is_missing(
    shown_at: tuple[int, ...], seconds: float, packets: int, cut: float
) -> None:
    count, end = read_tracks(listing(*shown_at)).video.cut(seconds)
    assert count == packets
    assert end == pytest.approx(cut)
