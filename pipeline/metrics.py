"""Every metric, declared once; docs/events.md has a row for each."""

from prometheus_client import Counter, Histogram

STEPS = Counter(
    "dailies_steps", "Steps of assets, by the state before and the answer of the world.", ["state", "answer"]
)
STEP_ERRORS = Counter("dailies_step_errors", "Steps that ended in an error of ours, by its class.", ["error"])
STALE_CLAIMS = Counter("dailies_stale_claims", "Writes that came too late and changed nothing.")
PROVIDER_BUSY = Counter("dailies_provider_busy", "Times a provider said: not now (429 and its kin).", ["account"])
BREAKER_OPENINGS = Counter(
    "dailies_breaker_openings", "Times a model failed so often that its orders were stopped.", ["account", "model"]
)
BREAKER_PROBES = Counter(
    "dailies_breaker_probes", "Free calls that asked whether a model is well again.", ["account", "model", "verdict"]
)
FALLBACKS = Counter(
    "dailies_fallbacks", "Clips that went to an equivalent model, by what they left and why.", ["provider", "reason"]
)
LESSONS = Counter(
    "dailies_lessons", "Times an account's limit was learned anew, by what taught it.", ["account", "why"]
)
SWEPT = Counter("dailies_swept", "What the sweeper found forgotten and set going again.", ["what"])
WEBHOOKS = Counter("dailies_webhooks", "Webhooks that came in, by what they were.", ["provider", "verdict"])
PUBLISH_FAILURES = Counter("dailies_publish_failures", "Messages or events that could not be published.", ["what"])
STEP_SECONDS = Histogram("dailies_step_seconds", "How long steps take, by the state before.", ["state"])
REQUEST_SECONDS = Histogram(
    "dailies_request_seconds",
    "How long requests to the API take.",
    ["route", "method", "status"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
