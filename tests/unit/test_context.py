"""What a vision model says becomes the consistency context, however it says it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain.context import MAX_PART_CHARS, PARTS, context_of, parts_of, with_context

WHOLE = {
    "CHARACTER APPEARANCE": "An old keeper.",
    "PRODUCT FEATURES": "A brass lamp.",
    "COLOR PALETTE": "Teal and amber.",
    "VISUAL STYLE": "35 mm film.",
}


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(
    "words",
    [
        """CHARACTER APPEARANCE: An old keeper.
PRODUCT FEATURES: A brass lamp.
COLOR PALETTE: Teal and amber.
VISUAL STYLE: 35 mm film.""",
        """Here you are:

**Character Appearance**:
An old keeper.

**Product Features:** A brass lamp.
**Colour palette** - Teal and amber.
**Visual style**
35 mm film.
""",
        """### 1. CHARACTER APPEARANCE
- An old keeper.
### 2. PRODUCT FEATURES
- A brass lamp.
### 3. COLOR PALETTE
- Teal and amber.
### 4. VISUAL STYLE
- 35 mm film.""",
        """VISUAL STYLE: 35 mm film.
COLOR_PALETTE: Teal and amber.
PRODUCT_FEATURES: A brass lamp.
CHARACTER_APPEARANCE: An old keeper.""",
        """CHARACTER APPEARANCE:An old\r
keeper.\r
PRODUCT FEATURES:\tA brass\0 lamp.\r
COLOR PALETTE:Teal and amber.\r
VISUAL STYLE:35 mm film.\r
""",
    ],
)
def test_the_four_parts_are_found_in_whatever_form_they_come(words: str) -> None:
    assert parts_of(words) == WHOLE
    assert context_of(words) == "\n".join(f"{name}: {said}" for name, said in WHOLE.items())


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(
    ("words", "context"),
    [
        ("CHARACTER APPEARANCE: none\nPRODUCT FEATURES: N/A.\nVISUAL STYLE: Noir.", "VISUAL STYLE: Noir."),
        ("COLOR PALETTE: Red.", "COLOR PALETTE: Red."),
        ("COLOR PALETTE: Red.\nCOLOR PALETTE: Blue.", "COLOR PALETTE: Red."),
        (
            "A lamp on a rock, in the style of an old film.",
            "VISUAL STYLE: A lamp on a rock, in the style of an old film.",
        ),
        ("CHARACTER APPEARANCE: none", None),
        (" \n ", None),
        ("", None),
    ],
)
def test_missing_parts_are_left_out_and_nothing_is_no_context(words: str, context: str | None) -> None:
    assert context_of(words) == context


def test_a_part_that_rambles_on_is_cut_at_a_word() -> None:
    said = parts_of("VISUAL STYLE: " + "grain " * 200)["VISUAL STYLE"]
    assert len(said) <= MAX_PART_CHARS + 1
    assert said.endswith("grain…")


@pytest.mark.requirement("R31")
def test_a_prompt_is_the_context_a_blank_line_and_the_scene() -> None:
    assert with_context("VISUAL STYLE: Noir.", "SCENE: A lamp.") == "VISUAL STYLE: Noir.\n\nSCENE: A lamp."
    assert with_context(None, "SCENE: A lamp.") == "SCENE: A lamp."


def test_it_is_the_context_that_is_cut_to_what_a_model_takes_and_the_longest_part_first() -> None:
    context = f"CHARACTER APPEARANCE: {'an old keeper in yellow, ' * 16}\nCOLOR PALETTE: Teal."
    prompt = with_context(context, "SCENE: A lamp.", at_most=200)
    first, second, blank, scene = prompt.split("\n")
    assert len(prompt) <= 200
    assert first.startswith("CHARACTER APPEARANCE: an old keeper in yellow, an old")
    assert first.endswith("…")
    assert (second, blank, scene) == ("COLOR PALETTE: Teal.", "", "SCENE: A lamp.")
    assert with_context(context, "SCENE: A lamp.", at_most=60) == "SCENE: A lamp."
    assert with_context(context, "SCENE: A lamp.", at_most=10_000) == f"{context}\n\nSCENE: A lamp."


@given(st.lists(st.text(), min_size=4, max_size=4), st.text(max_size=300), st.integers(1, 3000))
def test_whatever_is_said_the_scene_stays_whole_and_the_prompt_short_enough(
    said: list[str], scene: str, at_most: int
) -> None:
    words = "\n".join(f"{name}: {each}" for name, each in zip(PARTS, said, strict=True))
    prompt = with_context(context_of(words), scene, at_most=at_most)
    assert prompt.endswith(scene)
    assert prompt == scene or len(prompt.encode("utf-16-le")) // 2 <= at_most


@pytest.mark.parametrize("filling", ["\n", " \n", "1.\n", "- ", "_"])
def test_words_that_are_mostly_nothing_are_read_to_their_end(filling: str) -> None:
    assert parts_of(filling * 60_000 + "\n2) COLOR PALETTE - teal")["COLOR PALETTE"] == "teal"
