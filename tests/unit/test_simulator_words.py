"""The pretend vision model says the same of the same pictures, under the headings that it is asked for."""

import pytest

from simulator.words import pieces_of, words_of

ASKED = "Describe it: CHARACTER APPEARANCE, COLOR PALETTE"


def test_the_same_pictures_are_described_alike_under_whatever_link() -> None:
    first = words_of({"prompt": ASKED, "images": ["https://s3.test/b/a.jpg?X-Amz-Date=1", "https://s3.test/b/b.jpg"]})
    again = words_of({"prompt": ASKED, "images": ["https://s3.test/b/a.jpg?X-Amz-Date=2", "https://s3.test/b/b.jpg"]})
    other = words_of({"prompt": ASKED, "images": ["https://s3.test/b/c.jpg"]})
    assert first == again != other
    assert [line.partition(":")[0] for line in first.splitlines()] == ["CHARACTER APPEARANCE", "COLOR PALETTE"]
    assert "2 pictures" in first


@pytest.mark.parametrize("given", [{}, {"prompt": "Hello"}, {"prompt": 7, "images": None}])
def test_whatever_it_is_asked_it_says_something(given: dict[str, object]) -> None:
    assert words_of(given)


def test_pieces_put_together_are_the_words() -> None:
    words = words_of({"prompt": ASKED})
    assert len(pieces_of(words)) > 1
    assert "".join(pieces_of(words)) == words
