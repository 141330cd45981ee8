"""What a deployment promises to browsers, and what `bulkql check --deploy` says of one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from bulkql.server.middleware import ON_THE_LOOP, Handler, Security

SAFE = {
    "SECRET_KEY": "k3y-of-a-deployment-that-nobody-has-seen-before-and-long-enough-1234567890",
    "BULKQL_HTTPS": "true",
    "BULKQL_HOSTS": "bulk.example.org",
}
ORIGIN = "https://app.example.org"


def checked(**environment):
    """`bulkql check --deploy` in this environment."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("BULKQL_")}
    command = [str(Path(sys.executable).with_name("bulkql")), "check", "--deploy"]
    return subprocess.run(command, env={**bare, **environment}, capture_output=True, text=True, check=False)


def test_a_safe_deployment_passes_djangos_own_checks():
    done = checked(**SAFE)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("unsafe", "ids"),
    [
        ({"BULKQL_HTTPS": ""}, {"bulkql.W030", "security.W004", "security.W008", "security.W012", "security.W016"}),
        ({"SECRET_KEY": "short"}, {"security.W009"}),
        ({"BULKQL_DEBUG": "true"}, {"security.W018"}),
        ({"BULKQL_HSTS_SECONDS": "0"}, {"security.W004"}),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_an_unsafe_deployment_is_told_so(unsafe, ids):
    done = checked(**{name: value for name, value in {**SAFE, **unsafe}.items() if value})

    assert done.returncode == 1
    assert set(re.findall(r"\((\w+\.[EW]\d+)\)", done.stderr)) == ids


def test_every_middleware_of_django_that_the_settings_name_runs_on_the_loop():
    named = [name for name in settings.MIDDLEWARE if name.startswith(("django.", "csp."))]

    assert [name for name in named if name not in ON_THE_LOOP] == []


def test_the_service_runs_its_own_middleware_under_djangos_names():
    before = list(settings.MIDDLEWARE)

    first = Handler()._middleware_chain.__wrapped__

    assert isinstance(first, Security)
    assert before == settings.MIDDLEWARE


def test_behind_tls_all_but_the_probes_goes_there(client, settings):
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 60

    plain = client.get("/graphiql")
    probe = client.get("/healthz")
    secure = client.get("/healthz", secure=True)

    assert (plain.status_code, plain["Location"]) == (301, "https://testserver/graphiql")
    assert (probe.status_code, probe.headers.get("Strict-Transport-Security")) == (200, None)
    assert secure["Strict-Transport-Security"] == "max-age=60"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/graphiql", "/admin/", "/healthz"])
def test_pages_load_from_here_alone_and_run_no_script_without_the_nonce(client, admin_user, path):
    client.force_login(admin_user)

    response = client.get(path)

    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    scripts = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", response.content.decode())
    nonces = re.findall(r"'nonce-([^']+)'", policy)
    assert all(f'nonce="{nonces[0]}"' in script for script in scripts)
    assert bool(scripts) == (path == "/graphiql")


def preflight(client, path, method, origin):
    return client.options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization, content-type, range, if-range",
        },
    )


@pytest.mark.parametrize(
    ("path", "method"), [("/graphql", "POST"), ("/uploads/1", "PUT"), ("/files/1/errors.csv", "GET")]
)
def test_a_frontend_of_a_named_origin_may_use_all_of_it(client, settings, path, method):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]

    ours = preflight(client, path, method, ORIGIN)
    others = preflight(client, path, method, "https://evil.example.org")

    assert (ours.status_code, ours["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    assert method in ours["Access-Control-Allow-Methods"]
    allowed = {name.lower() for name in ours["Access-Control-Allow-Headers"].split(", ")}
    assert {"authorization", "content-type", "range", "if-range", "if-none-match"} <= allowed
    assert {"Accept-Ranges", "Content-Range", "ETag"} <= set(ours["Access-Control-Expose-Headers"].split(", "))
    # Its cookies are not wanted: a token is sent on purpose, a cookie is not.
    assert "Access-Control-Allow-Credentials" not in ours
    assert "Access-Control-Allow-Origin" not in others
