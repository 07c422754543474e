"""What an asset waits for, and what becomes of it when something that it needs has failed: table and sentences."""

from typing import Any
from uuid import UUID

import pytest

from pipeline.domain.answers import Answer, Busy, Reason, Refused, Withdrawn
from pipeline.domain.asset import State
from pipeline.domain.needs import AT_ONCE, MATERIAL, IfFailed, Needed, Needs, held_by, part_of

ID = UUID(int=7)
LAST = {"image": {"asset": str(ID), "part": "last_frame"}}
FILE = {"references": [{"asset": str(ID), "part": "file"}]}


def needs(state: State, policy: IfFailed = IfFailed.FAIL, *, kind: str = "video", **gives: Any) -> Needs:
    return Needs(assets=(Needed(id=ID, kind=kind, index=2, state=state, **gives),), if_failed=policy)


def held(needed: Needs, inputs: dict[str, Any]) -> Answer | None:
    return held_by("video", needed, inputs)


@pytest.mark.requirement("R62")
@pytest.mark.parametrize("state", [State.WAITING, State.RENDERING, State.UNCERTAIN, State.FETCHING])
@pytest.mark.parametrize("policy", list(IfFailed))
def test_nobody_goes_on_before_what_is_needed_has_ended(state: State, policy: IfFailed) -> None:
    assert held(needs(state, policy), LAST) == Busy(reason=Reason.DEPENDENCY)


@pytest.mark.requirement("R62")
@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.DONE])
def test_what_has_nothing_to_give_is_answered_by_the_policy(state: State) -> None:
    kinds = {policy: type(held(needs(state, policy), LAST)) for policy in IfFailed}
    assert kinds == {IfFailed.FAIL: Refused, IfFailed.SKIP: Withdrawn, IfFailed.INDEPENDENT: type(None)}


def test_what_is_there_holds_nobody_and_gives_its_part() -> None:
    there = needs(State.DONE, file_key="clip.mp4", last_frame_key="last.jpg")
    assert (held(there, LAST), held(there, FILE)) == (None, None)
    assert part_of(there, LAST["image"]) == "last.jpg"
    assert part_of(there, FILE["references"][0]) == "clip.mp4"
    assert part_of(needs(State.FAILED, file_key="old.mp4"), FILE["references"][0]) is None


@pytest.mark.parametrize(
    ("kind", "state", "sentence"),
    [
        ("video", State.FAILED, "the clip of scene 2 was needed first, and failed"),
        ("image", State.CANCELLED, "the keyframe of scene 2 was needed first, and was cancelled"),
        ("video", State.DONE, "the clip of scene 2 has no last picture to start from"),
        ("picture", State.CANCELLED, "a picture that was given (number 2) was needed first, and was cancelled"),
        ("footage", State.CANCELLED, "a video that was given (number 2) was needed first, and was cancelled"),
        ("sound", State.CANCELLED, "a sound that was given (number 2) was needed first, and was cancelled"),
    ],
)
def test_the_message_names_what_is_missing(kind: str, state: State, sentence: str) -> None:
    answer = held(needs(state, kind=kind), LAST)
    assert isinstance(answer, Refused)
    assert answer.message == sentence


@pytest.mark.requirement("R15")
@pytest.mark.parametrize("kind", list(AT_ONCE))
def test_a_job_has_so_many_of_a_kind_at_once(kind: str) -> None:
    reasons = [held_by(kind, Needs(ahead=ahead), {}) for ahead in range(AT_ONCE[kind] + 2)]
    assert reasons == [None] * AT_ONCE[kind] + [Busy(reason=Reason.JOB_LIMIT)] * 2
    assert held_by("video", Needs(ahead=100), {}) is None


@pytest.mark.requirement("R45")
@pytest.mark.parametrize("policy", list(IfFailed))
@pytest.mark.parametrize("kind", MATERIAL)
def test_what_the_customer_gives_is_wanted_whatever_the_policy_and_says_itself_what_is_wrong(
    policy: IfFailed, kind: str
) -> None:
    failure = {"code": "bad_picture", "message": "scenes.2.image_url: the file is empty", "retryable": False}
    lost = needs(State.FAILED, policy, kind=kind, failure=failure)
    wanted = Refused(code="dependency_failed", message="scenes.2.image_url: the file is empty", retryable=True)
    assert held(lost, FILE) == wanted


@pytest.mark.requirement("R45")
@pytest.mark.parametrize("policy", list(IfFailed))
@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_words_about_pictures_are_waited_for_but_nothing_fails_without_them(policy: IfFailed, state: State) -> None:
    words = {"context": {"asset": str(ID), "part": "words"}}
    assert held(needs(State.RENDERING, policy, kind="context"), words) == Busy(reason=Reason.DEPENDENCY)
    assert held(needs(state, policy, kind="context"), words) is None
