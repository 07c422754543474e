from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.auth import REMEMBERED_SECONDS, Callers, Policy, policy_of
from pipeline.services import build
from tests.web import KnownKeys, RecordingCarrier, Web, settings, web

KEY, OTHER = "dailies_key-of-ada", "dailies_key-of-bob"
OWN_PAGE = {"X-Requested-With": "dailies"}

#: Who may use which route. A new route is closed until it stands here and in the code.
POLICIES = {
    "health.healthz": Policy.PUBLIC,
    "health.readyz": Policy.PUBLIC,
    "health.metrics": Policy.KEY,
    "jobs.submit_job": Policy.KEY,
    "jobs.list_jobs": Policy.KEY,
    "jobs.read_job": Policy.KEY,
    "jobs.list_clips": Policy.KEY,
    "jobs.read_clip": Policy.KEY,
    "jobs.cancel_job": Policy.KEY,
    "jobs.resume_job": Policy.KEY,
    "jobs.retry_failed_clips": Policy.KEY,
    "jobs.retry_stale_clips": Policy.KEY,
    "jobs.retry_clip": Policy.KEY,
    "jobs.choose_take": Policy.KEY,
    "single.generate_video": Policy.KEY,
    "single.read_status": Policy.KEY,
    "single.read_task": Policy.KEY,
    "stream.follow_job": Policy.KEY,
    "models.list_models": Policy.KEY,
    "models.read_model": Policy.KEY,
    "models.read_scene_form": Policy.KEY,
    "models.estimate_job": Policy.KEY,
    "accounts.list_accounts": Policy.KEY,
    "accounts.read_account": Policy.KEY,
    "webhooks.take": Policy.SIGNED,
    "reference.document": Policy.PUBLIC,
    "reference.page": Policy.PUBLIC,
    "reference.start": Policy.PUBLIC,
    "reference.file": Policy.PUBLIC,
    "pages.page": Policy.PUBLIC,
    "pages.file": Policy.PUBLIC,
    "pages.sample": Policy.PUBLIC,
    "pages.sign_in": Policy.PUBLIC,
    "pages.sign_out": Policy.PUBLIC,
    "pages.who": Policy.PUBLIC,
}
#: The catalogue's rows bring these, one each.
SUBMIT = "single.submit_"
ARGUMENTS = {"job_id": "5f0c9a0e-0000-4000-8000-000000000000", "index": "0", "provider": "replicate"}


@pytest.fixture
def keys() -> KnownKeys:
    return KnownKeys({KEY: "ada", OTHER: "bob"})


@pytest.fixture
def api(keys: KnownKeys) -> Iterator[Web]:
    with web(settings(), change=keys.know) as running:
        yield running


def routes(api: Web) -> Iterator[tuple[str, str, str]]:
    """Every endpoint with a method and an address that reaches it."""
    adapter = api.app.url_map.bind("localhost")
    for rule in api.app.url_map.iter_rules():
        values = {name: ARGUMENTS.get(name, "x") for name in rule.arguments}
        for method in sorted(rule.methods or ()):
            yield rule.endpoint, method, adapter.build(rule.endpoint, values, method=method)


def signed_in(api: Web, key: str = KEY) -> FlaskClient:
    client = api.client()
    assert client.post("/session", json={"api_key": key}).status_code == 204
    return client


def test_every_route_declares_who_may_use_it(api: Web) -> None:
    found = {endpoint: policy_of(api.app, endpoint) for endpoint in api.app.view_functions}
    submits = {endpoint: policy for endpoint, policy in found.items() if endpoint.startswith(SUBMIT)}
    assert found.items() - submits.items() == POLICIES.items()
    assert set(submits.values()) == {Policy.KEY}


def test_a_stranger_gets_through_no_route_that_needs_a_key(api: Web) -> None:
    for endpoint, method, address in routes(api):
        if endpoint.startswith(SUBMIT) or POLICIES[endpoint] is Policy.KEY:
            assert api.client().open(address, method=method).status_code == 401, (method, address)


@pytest.mark.parametrize("told", ["Bearer ", "Bearer wrong", "Basic YTpi", "Bearer", "", KEY, f"Bearer {KEY} {KEY}"])
def test_a_wrong_key_is_a_401_that_says_how(api: Web, told: str) -> None:
    answer = api.client().get("/v1/models", headers={"Authorization": told})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json is not None
    assert answer.json["code"] == "unauthorized"


def test_a_key_opens(api: Web) -> None:
    assert api.client(KEY).get("/v1/models").status_code == 200
    assert api.client().get("/v1/models", headers={"Authorization": f"bearer {KEY}"}).status_code == 200


def test_a_route_that_declares_nothing_is_closed_to_everybody(keys: KnownKeys) -> None:
    with web(settings(), change=keys.know) as api:
        api.app.add_url_rule("/forgotten", view_func=lambda: "told")
        told = api.client(KEY).get("/forgotten")
    assert told.status_code == 403
    assert told.json is not None
    assert told.json["code"] == "forbidden"


def test_a_key_is_looked_up_once_in_a_while_and_never_longer(keys: KnownKeys) -> None:
    now = [100.0]
    callers = Callers(keys, clock=lambda: now[0])  # type: ignore[arg-type]
    assert callers.by_key(KEY) == callers.by_key(KEY) == keys.callers[KEY]
    assert keys.asked == 1

    del keys.callers[KEY]
    now[0] += REMEMBERED_SECONDS
    assert callers.by_key(KEY) is None


def test_an_unknown_key_is_not_remembered(keys: KnownKeys) -> None:
    callers = Callers(keys)  # type: ignore[arg-type]
    ada = keys.callers.pop(KEY)
    assert callers.by_key(KEY) is None
    keys.callers[KEY] = ada
    assert callers.by_key(KEY) == ada


def test_what_is_remembered_holds_no_key(keys: KnownKeys) -> None:
    callers = Callers(keys)  # type: ignore[arg-type]
    callers.by_key(KEY)
    assert KEY not in repr(callers._known)


def test_a_key_opens_a_session_and_the_session_says_who(api: Web) -> None:
    client = signed_in(api)
    assert client.get("/session").json == {"owner": "ada", "name": "test"}
    assert client.get("/v1/models").status_code == 200


@pytest.mark.parametrize("key", ["wrong", "", "\ud800", "\0", "schl\u00fcssel"], ids=ascii)
def test_a_wrong_key_opens_no_session(api: Web, key: str) -> None:
    client = api.client()
    told = client.post("/session", json={"api_key": key})
    assert told.status_code == 401
    assert "Set-Cookie" not in told.headers
    assert client.get("/session").status_code == 401


@pytest.mark.parametrize("form", [{}, {"api_key": 1}, {"api_key": KEY, "more": 1}, [], "text"])
def test_a_sign_in_that_makes_no_sense_is_refused(api: Web, form: object) -> None:
    assert api.client().post("/session", json=form).status_code == 422


def test_a_form_of_another_site_signs_nobody_in(api: Web) -> None:
    told = api.client().post("/session", data='{"api_key": "x"}', content_type="text/plain")
    assert told.status_code == 415


def test_the_cookie_is_kept_from_scripts_and_other_sites(api: Web) -> None:
    cookie = api.client().post("/session", json={"api_key": KEY}).headers["Set-Cookie"]
    assert cookie.startswith("dailies=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert KEY not in cookie


def test_the_cookie_is_bound_to_the_host_and_to_tls_where_there_is_tls(api: Web) -> None:
    told = api.client().post("/session", json={"api_key": KEY}, base_url="https://localhost")
    cookie = told.headers["Set-Cookie"]
    assert cookie.startswith("__Host-dailies=")
    assert "Secure" in cookie
    assert "Domain" not in cookie


def test_a_session_changes_nothing_without_the_header_of_our_own_page(api: Web) -> None:
    client = signed_in(api)
    refused = client.post("/v1/estimate", json={})
    assert refused.status_code == 403
    assert client.post("/v1/estimate", json={}, headers=OWN_PAGE).status_code == 422
    assert client.delete("/session").status_code == 403
    assert client.get("/session").status_code == 200


def test_a_program_needs_no_such_header(api: Web) -> None:
    assert api.client(KEY).post("/v1/estimate", json={}).status_code == 422


def test_a_wrong_key_is_not_made_good_by_a_session(api: Web) -> None:
    client = signed_in(api)
    assert client.get("/v1/models", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_signing_out_ends_the_session(api: Web) -> None:
    client = signed_in(api)
    assert client.delete("/session", headers=OWN_PAGE).status_code == 204
    assert client.get("/session").status_code == 401


def test_a_revoked_key_ends_its_sessions(api: Web, keys: KnownKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(api)
    del keys.callers[KEY]
    monkeypatch.setattr(api.app.extensions["dailies.callers"], "_known", {})  # the five seconds are over
    assert client.get("/session").status_code == 401
    assert client.get("/v1/models").status_code == 401


def test_a_cookie_of_another_secret_is_nobodys(api: Web, keys: KnownKeys) -> None:
    foreign = settings(secret_key="another secret of thirty-two characters")
    services = keys.know(build(foreign, RecordingCarrier()))
    client = create_app(services).test_client()
    client.post("/session", json={"api_key": KEY})
    cookie = client.get_cookie("dailies")
    assert cookie is not None

    ours = api.client()
    ours.set_cookie("dailies", cookie.value)
    assert ours.get("/session").status_code == 401


def test_a_tampered_cookie_is_nobodys(api: Web) -> None:
    client = signed_in(api)
    cookie = client.get_cookie("dailies")
    assert cookie is not None
    client.set_cookie("dailies", cookie.value[:-2] + "xx")
    assert client.get("/session").status_code == 401
