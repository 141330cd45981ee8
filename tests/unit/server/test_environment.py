"""What commands of an operator say where the environment is wrong: a line, and no traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

BULKQL = str(Path(sys.executable).with_name("bulkql"))
SECRET = "x" * 50


def run(directory, *words, **environment):
    return subprocess.run([BULKQL, *words], cwd=directory, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["token admin", "sign-in", "check", "migrate", "purge", "serve", "work"])
def test_without_a_secret_the_variable_is_named(tmp_path, words):
    done = run(tmp_path, *words.split())

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("SECRET_KEY is not set; it signs sessions and tokens. Set it to that of your service")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("BULKQL_APPS", "shop, nowhere", "BULKQL_APPS names ' nowhere', which cannot be imported from"),
        ("DJANGO_SETTINGS_MODULE", "my.settings", "DJANGO_SETTINGS_MODULE names 'my', which cannot be imported from"),
        ("BULKQL_CHUNK_SIZE", "many", 'Environment variable "BULKQL_CHUNK_SIZE" invalid: Not a valid integer.'),
        ("DATABASE_URL", "sqlite:///empty.sqlite3", "The database answered: no such table: auth_user. `bulkql doctor`"),
    ],
    ids=lambda value: value.split(" ")[0],
)
def test_what_is_wrong_with_a_variable_is_told(tmp_path, variable, value, message):
    (tmp_path / "shop.py").touch()

    done = run(tmp_path, "token", "admin", SECRET_KEY=SECRET, **{variable: value})

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", ["serve", "work"])
def test_nothing_starts_that_a_system_check_refuses(tmp_path, words):
    done = run(tmp_path, words, SECRET_KEY=SECRET, BULKQL_WEBHOOK_URL="https://10.0.0.1/")

    assert (done.returncode, done.stdout) == (1, "")
    assert "(bulkql.E027) BULKQL_WEBHOOK_URL is refused: " in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_wrong_within_an_app_has_its_traceback(tmp_path):
    (tmp_path / "shop.py").write_text("import nowhere")

    done = run(tmp_path, "check", SECRET_KEY=SECRET, BULKQL_APPS="shop")

    assert "Traceback" in done.stderr
    assert "No module named 'nowhere'" in done.stderr


def test_a_full_disk_under_the_standard_output_is_told(tmp_path):
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": full, "stderr": subprocess.PIPE}
        done = subprocess.run([BULKQL, "schema"], cwd=tmp_path, env={}, text=True, check=False, **streams)

    assert (done.returncode, done.stderr) == (1, "The output cannot be written: No space left on device.\n")


def test_a_standard_output_that_is_closed_is_told(tmp_path):
    done = subprocess.run(["sh", "-c", f"{BULKQL} schema >&-"], cwd=tmp_path, env={}, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (1, b"The output cannot be written: Bad file descriptor.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "99999"], "Input should be less than or equal to 65535"),
        (["--workers", "0"], "Input should be greater than or equal to 1"),
    ],
)
def test_a_number_that_cannot_be_is_refused(tmp_path, words, message):
    done = run(tmp_path, "up", *words)

    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_service_is_not_taken_for_another_that_has_its_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run(tmp_path, "up", "--port", str(port))

    told = f"Port {port} is not free: Address already in use. Give another --port; 0 takes one that is free.\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()

    done = run(tmp_path, "up", "--data", "file/data", "--port", "0")

    told = f"{tmp_path / 'file' / 'data'} cannot be made: Not a directory. Give another --data.\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_a_data_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "data" / "lock").mkdir(parents=True)

    done = run(tmp_path, "up", "--data", "data", "--port", "0")

    told = f"{tmp_path / 'data'} cannot be written: Is a directory. Give another --data.\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_an_app_that_cannot_be_imported_is_told_when_everything_is_started(tmp_path):
    done = run(tmp_path, "up", "--app", "nowhere", "--port", "0", DATABASE_URL="sqlite:///a.sqlite3")

    told = f"BULKQL_APPS names 'nowhere', which cannot be imported from {tmp_path}.\n"
    assert (done.returncode, done.stderr.strip() + "\n") == (1, told)
