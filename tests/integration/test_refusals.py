"""What is refused before a view sees it is told in a line, whatever its body is: error pages read no bodies."""

from __future__ import annotations

import logging

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

#: Addresses and hosts that no view answers, and what they get.
REFUSED = {
    "a host that is none": ("/graphql", {"HTTP_HOST": "a; b"}, 400, "BAD_INPUT"),
    "a host of somebody else": ("/graphql", {"HTTP_HOST": "elsewhere.example"}, 400, "BAD_INPUT"),
    "no such address": ("/nowhere", {}, 404, "NOT_FOUND"),
}
#: Bodies that cannot be parsed, as CSRF tokens in forms are.
BODIES = {
    "no boundary": ("multipart/form-data", b"x"),
    "an empty boundary": ("multipart/form-data; boundary=", b"x"),
    "a boundary with no part": ("multipart/form-data; boundary=x", b"--y"),
    "a part that is too large": ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 3_000_000),
    "a form that is too large": ("application/x-www-form-urlencoded", b"a=" + b"b" * 40_000_000),
    "a form in a charset that is none": ("application/x-www-form-urlencoded; charset=nonsense", b"a=b"),
    "no form": ("application/json", b"{"),
}


@pytest.mark.parametrize("accepted", ["application/json", "*/*", "text/html,application/xhtml+xml,*/*;q=0.8"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("refused", REFUSED)
def test_what_no_view_answers_is_refused_without_a_look_at_its_body(caplog, refused, body, accepted):
    path, headers, status, code = REFUSED[refused]
    kind, content = BODIES[body]
    client = Client(enforce_csrf_checks=True, raise_request_exception=True)
    client.cookies["csrftoken"] = "a" * 32

    with caplog.at_level(logging.WARNING):
        answer = client.generic("POST", path, content, kind, headers={"Accept": accepted}, **headers)

    assert answer.status_code == status
    assert [record for record in caplog.records if record.exc_info] == []
    if "html" in accepted:
        assert answer.content.startswith(b"<!doctype html>")
    else:
        assert answer.json()["errors"][0]["extensions"]["code"] == code
