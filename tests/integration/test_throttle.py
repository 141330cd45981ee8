"""Who guesses passwords is stopped; who has a token, a link or the right password from elsewhere is not."""

from __future__ import annotations

import pytest
from axes.models import AccessAttempt
from django.test import Client

from bulkql.server.auth import token_for, user_of_token
from bulkql.server.authority.links import sign_in_query

pytestmark = pytest.mark.django_db

PASSWORD = "the right one"


@pytest.fixture(autouse=True)
def _password(user, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user.set_password(PASSWORD)
    user.save()


def sign_in(password, address="10.0.0.1", name="ada"):
    form = {"username": name, "password": password, "next": "/admin/"}
    return Client(REMOTE_ADDR=address).post("/admin/login/", form).status_code


def guess(times=5):
    return [sign_in(f"guess {number}") for number in range(times)]


def test_five_wrong_passwords_lock_a_name_for_an_address():
    assert guess(7) == [200, 200, 200, 200, 429, 429, 429]
    assert sign_in(PASSWORD) == 429


def test_who_is_locked_out_is_told_for_how_long():
    guess()

    answer = Client(REMOTE_ADDR="10.0.0.1").post("/admin/login/", {"username": "ada", "password": PASSWORD})

    assert (answer.status_code, answer["Retry-After"]) == (429, "900")
    assert "Too many wrong passwords for this name; try again in 15 minutes." in answer.content.decode()


def test_others_are_not_locked_out_by_it(django_user_model):
    django_user_model.objects.create_superuser("eve", password=PASSWORD)
    guess()

    assert sign_in(PASSWORD, address="10.0.0.2") == 302
    assert sign_in(PASSWORD, name="eve") == 302


def test_the_lock_ends_by_itself_and_trying_on_does_not_prolong_it(settings):
    guess()
    later = AccessAttempt.objects.get()
    later.attempt_time -= settings.AXES_COOLOFF_TIME / 2
    later.save()
    assert sign_in("one more") == 429
    assert AccessAttempt.objects.get().attempt_time == later.attempt_time

    later.attempt_time -= settings.AXES_COOLOFF_TIME / 2
    later.save()

    assert sign_in(PASSWORD) == 302


def test_a_right_password_forgets_the_wrong_ones():
    guess(4)
    assert sign_in(PASSWORD) == 302
    assert guess(4) == [200] * 4


def test_no_password_is_kept_or_logged(caplog):
    guess(6)

    (kept,) = AccessAttempt.objects.values()
    assert "guess" not in f"{kept}{caplog.text}"


def test_tokens_and_links_are_no_passwords(user, caplog):
    guess()

    caplog.clear()
    assert [user_of_token(f"zzzzzzz.junk{number}") for number in range(9)] == [None] * 9
    assert "AXES" not in caplog.text
    assert AccessAttempt.objects.count() == 1
    assert user_of_token(token_for(user)) == user
    assert Client(REMOTE_ADDR="10.0.0.1").get(f"/sign-in{sign_in_query(user)}").status_code == 302
