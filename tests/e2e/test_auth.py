"""Who may send: bearer tokens from a file, and tokens that the API server reviews."""

import json

import pytest
import requests
from support.builder import BUILDS, example_event, jobs_by_event
from support.testbed import REPOSITORY
from support.waiting import wait_for

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
TOKEN = "a-token-of-the-e2e-tests"
AUDIENCE = "knative-lambda-builder"
SENDER = "system:serviceaccount:default:default"


def event(event_id, tenant, source="urn:direct"):
    changed = json.loads(example_event(event_id, tenant))
    changed["source"] = source
    return json.dumps(changed)


def post(builder, body, token=None):
    headers = {**STRUCTURED, **({"Authorization": f"Bearer {token}"} if token else {})}
    return requests.post(builder.url, data=body, headers=headers, timeout=60)


@pytest.fixture
def tokens_file(tmp_path):
    file = tmp_path / "tokens.yaml"
    file.write_text(json.dumps({"acme-sender": TOKEN}))
    return file


@pytest.fixture
def bearer_builder(start_builder, tokens_file):
    principals = [{"name": "acme-sender", "tenants": ["acme"]}]
    auth = {"mode": "bearer", "tokensFile": str(tokens_file), "principals": principals}
    return start_builder(intake={"auth": auth})


@pytest.fixture
def oidc_builder(start_builder):
    principals = [{"name": SENDER, "tenants": ["acme"]}]
    return start_builder(intake={"auth": {"mode": "oidc", "audience": AUDIENCE, "principals": principals}})


def service_account_token(bed, audience):
    return bed.kubectl("create", "token", "default", "-n", "default", f"--audience={audience}").strip()


def assert_unauthenticated(answer):
    assert answer.status_code == 401, answer.text
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["error"]["type"] == "unauthenticated"


def test_a_sender_with_a_token_speaks_for_its_tenants(control_plane, bearer_builder):
    assert post(bearer_builder, event("bearer-ok", "acme"), TOKEN).status_code == 202
    other = post(bearer_builder, event("bearer-other", "other"), TOKEN)
    assert other.status_code == 403, other.text
    assert other.json()["error"]["type"] == "forbidden"
    found = jobs_by_event(control_plane)
    assert "bearer-ok" in found
    assert "bearer-other" not in found


@pytest.mark.parametrize("token", [None, "not-the-token-of-anybody"])
def test_a_sender_without_a_known_token_is_told_so(control_plane, bearer_builder, token):
    assert_unauthenticated(post(bearer_builder, event("bearer-unknown", "acme"), token))
    assert "bearer-unknown" not in jobs_by_event(control_plane)
    assert "not-the-token-of-anybody" not in bearer_builder.log()


@pytest.mark.parametrize(
    ("token", "tenant"), [(None, "acme"), ("not-the-token-of-anybody", "acme"), (TOKEN, "other")]
)
def test_an_event_of_the_queue_is_never_answered_what_a_dispatcher_takes_for_a_success(
    control_plane, bearer_builder, token, tenant
):
    """eventing-rabbitmq acknowledges an event after 401 or 403, and it is gone."""
    answer = post(bearer_builder, event("queue-bad", tenant, "network.notifi.kaniko-jobs"), token)
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert "queue-bad" not in jobs_by_event(control_plane)


def test_a_changed_tokens_file_holds_without_a_restart(bearer_builder, tokens_file):
    new = "another-token-of-the-tests"
    tokens_file.write_text(json.dumps({"acme-sender": new}))
    wait_for(
        lambda: post(bearer_builder, event("new-token", "acme"), new).status_code == 202, 20, "the token holds"
    )
    assert_unauthenticated(post(bearer_builder, event("old-token", "acme"), TOKEN))
    tokens_file.write_text("acme-sender: too-short")

    def fault_logged():
        assert post(bearer_builder, event("new-token", "acme"), new).status_code == 202
        return "the tokens file can't be used" in bearer_builder.log()

    wait_for(fault_logged, 20, "the fault is logged")
    assert new not in bearer_builder.log()
    assert TOKEN not in bearer_builder.log()
    assert "too-short" not in bearer_builder.log()


def test_a_service_account_is_known_by_its_token(control_plane, oidc_builder):
    token = service_account_token(control_plane, AUDIENCE)
    answer = post(oidc_builder, event("oidc-ok", "acme"), token)
    assert answer.status_code == 202, answer.text
    assert post(oidc_builder, event("oidc-other", "other"), token).status_code == 403
    assert token not in oidc_builder.log()


def test_a_token_for_another_audience_is_refused(control_plane, oidc_builder):
    token = service_account_token(control_plane, "somebody-else")
    assert_unauthenticated(post(oidc_builder, event("oidc-audience", "acme"), token))
    assert token not in oidc_builder.log()


def test_while_the_api_server_is_away_nobody_is_turned_away_for_good(control_plane, oidc_builder):
    token = service_account_token(control_plane, AUDIENCE)
    control_plane.run("stop", "apiserver")
    try:
        answer = post(oidc_builder, event("oidc-away", "acme"), token)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) >= 1
    finally:
        control_plane.run("start", "apiserver")
    wait_for(lambda: post(oidc_builder, event("oidc-away", "acme"), token).status_code == 202, 60, "it goes on")
    assert token not in oidc_builder.log()


def test_the_right_to_review_tokens_is_all_that_the_manifest_gives(control_plane):
    manifest = REPOSITORY / "manifests" / "rbac" / "builder-token-review.yaml"
    control_plane.kubectl("apply", "--server-side", "-f", str(manifest))
    builder = "--as=system:serviceaccount:knative-lambda:knative-lambda-builder"

    def may(*words):
        return control_plane.kubectl("auth", "can-i", *words, builder, check=False).strip() == "yes"

    assert may("create", "tokenreviews.authentication.k8s.io")
    assert may("create", "jobs.batch", "-n", BUILDS)
    for words in (("list", "jobs.batch", "-n", BUILDS), ("get", "secrets", "-n", BUILDS),
                  ("create", "subjectaccessreviews.authorization.k8s.io"), ("create", "jobs.batch", "-n", "default")):
        assert not may(*words), words
