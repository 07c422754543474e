"""Asking Replicate how a prediction goes, and to stop it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.domain.answers import Finished, Refused, Silent, Working
from pipeline.domain.attempt import Prediction
from pipeline.providers.replicate import Replicate
from tests.replicate_server import PREDICTION_ID, Scripted, Server, answer, prediction


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    return running.forgetful()


@pytest.fixture
def replicate(server: Server) -> Replicate:
    return server.account()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been slept."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    return pauses


def failed(error: str | None) -> dict[str, Any]:
    return prediction(status="failed", error=error)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (prediction(), Working(prediction_id=PREDICTION_ID, queued=True)),
        (prediction(status="processing"), Working(prediction_id=PREDICTION_ID)),
        (
            prediction(status="processing", logs="seed 7\n  3%|▎ | 1/30\r 40%|████      | 12/30 [00:01<00:02]\nhm"),
            Working(prediction_id=PREDICTION_ID, progress=40),
        ),
        (
            prediction(status="processing", logs="999%|██| 9/9"),
            Working(prediction_id=PREDICTION_ID, progress=100),
        ),
        (prediction(status="processing", logs=["40%|█| 2/5"]), Working(prediction_id=PREDICTION_ID)),
        (prediction(status="paused_by_cosmic_ray"), Working(prediction_id=PREDICTION_ID)),
        (prediction(status=None), Working(prediction_id=PREDICTION_ID)),
    ],
)
def test_a_prediction_in_progress_is_working(
    replicate: Replicate, server: Server, document: dict[str, Any], expected: Working
) -> None:
    server.plays(answer(200, document))
    assert replicate.status(Prediction(id=PREDICTION_ID)) == expected


@pytest.mark.parametrize(
    ("output", "links"),
    [
        ("https://f.test/a.mp4", ("https://f.test/a.mp4",)),
        (["https://f.test/a.png", "https://f.test/b.png"], ("https://f.test/a.png", "https://f.test/b.png")),
        ({"video": "https://f.test/a.mp4", "seed": 7}, ("https://f.test/a.mp4",)),
    ],
)
def test_a_succeeded_prediction_is_finished_with_its_links(
    replicate: Replicate, server: Server, output: Any, links: tuple[str, ...]
) -> None:
    server.plays(answer(200, prediction(status="succeeded", output=output, metrics={"predict_time": 61.2})))
    got = replicate.status(Prediction(id=PREDICTION_ID))
    assert isinstance(got, Finished)
    assert got.outputs == links
    assert got.raw["metrics"] == {"predict_time": 61.2}
    assert got.words is None
    assert set(got.raw) == {"id", "status", "created_at", "metrics"}


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(
    "output",
    [
        "VISUAL STYLE: film.\nSee https://f.test/",
        ["VISUAL", " STYLE: ", "film.\nSee https:", "//f.test/"],
        ["VISUAL", " ST\0YLE: ", "\ud83cfilm.\nSee https:", "//f.test/"],
    ],
)
def test_a_text_model_answers_with_words_whole_or_in_pieces(replicate: Replicate, server: Server, output: Any) -> None:
    server.plays(answer(200, prediction(status="succeeded", output=output)))
    got = replicate.status(Prediction(id=PREDICTION_ID))
    assert isinstance(got, Finished)
    assert (got.words, got.outputs) == ("VISUAL STYLE: film.\nSee https://f.test/", ())


@pytest.mark.parametrize(
    ("document", "code", "retryable"),
    [
        (failed("CUDA out of memory (E1001)"), "provider_error", True),
        (failed("E1000"), "provider_error", True),
        (failed(None), "provider_error", True),
        (failed("The input or output was flagged as sensitive. Please try again. (E005)"), "moderated", False),
        (failed("NSFW content detected. Try running it again, or try a different prompt."), "moderated", False),
        (failed("All generated images contained NSFW content. Try a different prompt."), "moderated", False),
        (prediction(status="succeeded", output=[], logs="4/4\nNSFW content detected"), "moderated", False),
        (prediction(status="succeeded", output=[], logs="step 4/4\n100%"), "provider_error", True),
        (prediction(status="canceled"), "provider_cancelled", True),
        (prediction(status="aborted"), "provider_cancelled", True),
        (prediction(status="succeeded", output=None, data_removed=True), "lost", True),
        (prediction(status="succeeded", output=[]), "provider_error", True),
        (prediction(status="succeeded", output=["", " \n"]), "provider_error", True),
        (prediction(status="succeeded", output=[7, "a"]), "provider_error", True),
        (prediction(status="succeeded", output="file:///etc/passwd"), "provider_error", True),
        (prediction(status="succeeded", output="https://f.test/a\0.mp4"), "provider_error", True),
        (prediction(status="succeeded", output="https://f.test/" + "a" * 5000), "provider_error", True),
    ],
)
def test_a_prediction_that_came_to_nothing_is_refused(
    replicate: Replicate, server: Server, document: dict[str, Any], code: str, *, retryable: bool
) -> None:
    server.plays(answer(200, document))
    got = replicate.status(Prediction(id=PREDICTION_ID))
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == (code, retryable)


def test_a_prediction_that_the_provider_does_not_know_is_lost(replicate: Replicate, server: Server) -> None:
    server.plays(answer(404, {"detail": "The requested resource could not be found."}))
    got = replicate.status(Prediction(id=PREDICTION_ID))
    assert isinstance(got, Refused)
    assert (got.code, got.retryable) == ("lost", True)


@pytest.mark.parametrize(
    "scripted",
    [
        answer(401, {"detail": "no"}),
        answer(500, {}),
        answer(302, {}, Location="/elsewhere"),
        Scripted(200, b"<html>"),
        answer(200, prediction(id="another")),
    ],
    ids=["401", "500", "redirect", "HTML", "another prediction"],
)
def test_a_question_that_is_not_answered_is_silent_and_the_prediction_lives_on(
    replicate: Replicate, server: Server, scripted: Scripted
) -> None:
    server.plays(scripted)
    assert isinstance(replicate.status(Prediction(id=PREDICTION_ID)), Silent)
    assert len(server.seen) == 1


@pytest.mark.requirement("R16")
@pytest.mark.parametrize(
    "hiccup",
    [answer(502, {}), answer(503, {}), answer(504, {}), Scripted(reset=True)],
    ids=["502", "503", "504", "reset"],
)
def test_a_question_that_fails_in_transit_is_asked_three_times(
    replicate: Replicate, server: Server, slept: list[float], hiccup: Scripted
) -> None:
    server.plays(hiccup, hiccup, answer(200, prediction(status="processing")))
    assert replicate.status(Prediction(id=PREDICTION_ID)) == Working(prediction_id=PREDICTION_ID)
    server.plays(hiccup)
    assert isinstance(replicate.status(Prediction(id=PREDICTION_ID)), Silent)
    assert len(server.seen) == 6
    assert len(slept) == 4
    assert max(slept) <= 0.5


def test_a_cancelled_prediction_says_what_it_has_become(replicate: Replicate, server: Server) -> None:
    server.plays(answer(200, prediction(status="canceled")))
    got = replicate.cancel(Prediction(id=PREDICTION_ID))
    assert isinstance(got, Refused)
    assert got.code == "provider_cancelled"
    [seen] = server.seen
    assert (seen.method, seen.path) == ("POST", f"/v1/predictions/{PREDICTION_ID}/cancel")


FIELDS = ("status", "output", "error", "logs", "metrics", "created_at", "data_removed", "completed_at")


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_as_deep_as_a_parser_goes_is_read_too(replicate: Replicate, server: Server, field: str) -> None:
    deep = b"[" * 900 + b"]" * 900
    whole = json.dumps(prediction(status="failed")).encode()
    server.plays(Scripted(200, b'%s, "%s": %s}' % (whole[:-1], field.encode(), deep)))
    assert isinstance(replicate.status(Prediction(id=PREDICTION_ID)), Refused | Working | Silent)
