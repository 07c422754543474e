"""What a vision model says becomes the consistency context, however it says it."""

import pytest

from pipeline.domain.context import MAX_PART_CHARS, context_of, parts_of, with_context

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
