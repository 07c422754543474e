"""R30: a job of as many clips as the account has slots takes little longer than its longest clip."""

from bench.contenders.ours import Ours
from bench.results import Figure

CLIPS, SECONDS, RUNS = 5, 6, 2


def parallel_clips(it: Ours) -> list[Figure]:
    """From the first call to the last stored clip, in relation to the longest."""
    totals = []
    for _ in range(RUNS):
        jobs = it.order(CLIPS, words=lambda _: f"[[sim: seconds={SECONDS}]]")
        it.finished(jobs)
        totals.append(it.client.job(jobs[0])["total_seconds"])
    case = f"{CLIPS} clips of {SECONDS} s"
    worst = max(totals) / SECONDS
    goal = round(1.15 + 2 / SECONDS, 3)
    return [Figure(name="job_over_longest_clip", case=case, contender=it.name, value=worst, n=RUNS, goal=goal)]
