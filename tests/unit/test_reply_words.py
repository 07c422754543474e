"""What providers say is kept, logged and shown: links in it lose what makes them keys."""

import json

import pytest

from pipeline.providers.http import Reply, text

SIGNED = "https://store.example/clips/job/picture_0.png?X-Amz-Credential=AK%2Fus&X-Amz-Signature=0a1b2c"
HOOK = "https://us.example/webhooks/minimax/0d9c8f4e-1111-5222-8333-444455556666/a6f2c0ffee"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (f"could not fetch {SIGNED}", "could not fetch https://store.example/clips/job/picture_0.png?…"),
        (f'failed: "{SIGNED}", try again', 'failed: "https://store.example/clips/job/picture_0.png?…", try again'),
        (f"({SIGNED})", "(https://store.example/clips/job/picture_0.png?…)"),
        (f"callback_url {HOOK} did not answer", "callback_url https://us.example/webhooks/… did not answer"),
        ("see https://docs.example/errors#422. Is it ready?", "see https://docs.example/errors#422. Is it ready?"),
    ],
)
def test_a_link_in_a_sentence_loses_its_signature(said: str, kept: str) -> None:
    assert text(said) == kept
    assert Reply(status=400, headers={}, body=json.dumps({"error": said}).encode()).says() == kept


def test_a_link_that_is_cut_off_loses_its_signature_too() -> None:
    said = text("x" * 400 + " " + SIGNED + "&more=1" * 40)
    assert "Signature" not in said
    assert len(said) <= 500
