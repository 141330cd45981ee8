"""Files of the service arrive whole or not at all, and where they cannot, that is known before."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer

from bulkql.server.client import BulkClient
from bulkql.server.commands import storing


class Service(BulkClient):
    """Has one file, and may break off."""

    def __init__(self, *pieces):
        super().__init__("http://nowhere", "token")
        self._pieces = pieces

    @contextmanager
    def download(self, _):
        yield self._all()

    def _all(self):
        for piece in self._pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "Is a directory"), ("nowhere/a.csv", "No such file or directory"), (300 * "x", "File name too long")],
    ids=["a directory", "in none", "a long name"],
)
def test_a_place_that_takes_no_file_is_told_before(tmp_path, capsys, name, reason):
    path = tmp_path / name

    with pytest.raises(typer.Exit) as left:
        storing.check_place(path, "--failed-rows")

    told = f"{path}: {reason}. Give --failed-rows a file that can be written.\n"
    assert (left.value.exit_code, capsys.readouterr().err) == (2, told)


def test_a_place_that_takes_one_is_left_as_it_is(tmp_path):
    (tmp_path / "a.csv").write_text("there")

    storing.check_place(tmp_path / "a.csv", "--output")
    storing.check_place(tmp_path / "b.csv", "--output")

    assert [one.read_text() for one in tmp_path.iterdir()] == ["there"]


def test_a_download_that_breaks_off_leaves_nothing(tmp_path):
    with pytest.raises(ConnectionError):
        storing.fetch(Service(b"half", ConnectionError()), "url", tmp_path / "a.csv")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_where_that_was_asked_for(tmp_path):
    path = tmp_path / "[a].csv"
    path.write_text("there")

    beside = storing.fetch(Service(b"new"), "url", path, replaces=False)

    assert (beside, beside.read_text(), path.read_text()) == (tmp_path / "[a]-2.csv", "new", "there")
    assert storing.fetch(Service(b"newer"), "url", path).read_text() == "newer"


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "a.csv").symlink_to(tmp_path / "to" / "b.csv")

    storing.fetch(Service(b"new"), "url", tmp_path / "a.csv")

    assert (tmp_path / "a.csv").is_symlink()
    assert (tmp_path / "to" / "b.csv").read_text() == "new"


def test_a_pipe_is_written_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    storing.check_place(pipe, "--output")
    storing.fetch(Service(b"new"), "url", pipe)

    assert os.read(reader, 10) == b"new"
    assert pipe.is_fifo()
    os.close(reader)


def test_a_device_stays_one():
    storing.fetch(Service(b"new"), "url", Path(os.devnull))

    assert Path(os.devnull).is_char_device()
