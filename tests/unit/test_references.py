"""A scene's reference images and the job's, combined up to what the model takes."""

from collections.abc import Sequence

import pytest

from pipeline.domain.references import combined

A, B, C = "https://cdn.test/a.jpg", "https://cdn.test/b.jpg", "https://cdn.test/c.jpg"


@pytest.mark.requirement("R45")
@pytest.mark.parametrize(
    ("own", "of_job", "at_most", "links", "left_out"),
    [
        ([], [], 4, [], 0),
        ([A], [], 4, [A], 0),
        ([], [A, B], 4, [A, B], 0),
        ([C], [A, B], 4, [C, A, B], 0),
        ([B], [A, B], 4, [B, A], 0),
        ([A, A], [A], 4, [A], 0),
        ([C], [A, B], 2, [C, A], 1),
        ([C], [A, B], 1, [C], 2),
        ([], [A, B], 0, [], 2),
    ],
)
def test_the_scenes_own_come_first_each_once_up_to_what_the_model_takes(
    own: Sequence[str], of_job: Sequence[str], at_most: int, links: Sequence[str], left_out: int
) -> None:
    found = combined(own, of_job, at_most=at_most)
    assert (list(found.links), found.left_out) == (links, left_out)
