"""The consistency context: what a vision model says of the job's reference images, put into every prompt of the job."""

import re
import unicodedata

#: What the context tells, in this order; the vision model is asked for just these.
PARTS = ("CHARACTER APPEARANCE", "PRODUCT FEATURES", "COLOR PALETTE", "VISUAL STYLE")
#: Of each part: providers cut or refuse prompts of more than about 2000 characters, and the scene needs its share.
MAX_PART_CHARS = 400
#: Less of a part than this tells nothing.
_LEAST = 60

_NOTHING = frozenset({"", "none", "n/a", "not applicable", "not visible", "-"})
# A model may write headings in its own manner: "**Colour palette**:", "2) VISUAL STYLE -", "### Product Features". What
# stands before one is looked for in its own line only: over many empty lines it would be looked for without end.
_NAMES = "|".join(part.replace("COLOR", "COLOU?R").replace(" ", "[ _]") for part in PARTS)
_HEADING = re.compile(
    rf"^(?:[^\w\n]|[\d_])*({_NAMES})\b[\W_]*",
    re.IGNORECASE | re.MULTILINE,
)


def context_of(words: str) -> str | None:
    """The context in a model's words: the parts that it told, each on its line; None where it told nothing."""
    parts = parts_of(words)
    return "\n".join(f"{name}: {parts[name]}" for name in PARTS if name in parts) or None


def parts_of(words: str) -> dict[str, str]:
    """The parts by their names; words under no heading at all are taken for the style."""
    pieces = _HEADING.split(unicodedata.normalize("NFC", words.replace("\0", "")))
    if len(pieces) == 1:
        pieces = ["", PARTS[-1], pieces[0]]
    told: dict[str, str] = {}
    for heading, body in zip(pieces[1::2], pieces[2::2], strict=True):
        name = re.sub(r"[ _]", " ", heading.upper()).replace("COLOUR", "COLOR")
        said = _plain(body)
        if said.rstrip(".").lower() not in _NOTHING:
            told.setdefault(name, said)
    return told


def with_context(context: str | None, prompt: str, *, at_most: int | None = None) -> str:
    """The context, a blank line, then the prompt (R31); just the prompt where there is no context.

    ``at_most`` is the longest prompt that the model takes, in UTF-16 units; it is the context that is cut to it.
    """
    if context and at_most is not None:
        context = _cut_to(context, at_most - _units(prompt) - 2)
    return f"{context}\n\n{prompt}" if context else prompt


def _cut_to(context: str, room: int) -> str:
    """The context in so much room: what short parts leave goes to the longer ones; nothing where that is too little."""
    lines = context.split("\n")
    room -= len(lines) - 1
    cut: dict[int, str] = {}
    for place, line in sorted(enumerate(lines), key=lambda each: _units(each[1])):
        share = room // (len(lines) - len(cut))
        if _units(line) > share and share < _LEAST:
            return ""
        cut[place] = _cut(line, share)
        room -= _units(cut[place])
    return "\n".join(cut[place] for place in range(len(lines)))


def _cut(text: str, most: int) -> str:
    """At most so many units of a text, to the end of a word."""
    if _units(text) <= most:
        return text
    kept = text.encode("utf-16-le")[: 2 * (most - 1)].decode("utf-16-le", "ignore")
    return kept.rsplit(" ", 1)[0].rstrip(" ,;:") + "…"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _plain(body: str) -> str:
    """On one line, without the marks of a list or of bold type, and cut at a word."""
    bare = re.sub(r"[*_`#]+|^[^\S\n]*[-•]\s*", " ", body, flags=re.MULTILINE)
    printable = "".join(sign if sign.isprintable() else " " for sign in bare)
    return _cut(" ".join(printable.split()), MAX_PART_CHARS)
