"""Tests of vidtag_ml.workflow.stage."""

import errno
import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from vidtag_ml.workflow import locks, stage


def _builder(text: str, calls: list[str]):
    def build(aside: Path) -> None:
        calls.append(text)
        aside.mkdir(exist_ok=True)
        (aside / "part.txt").write_text(text)

    return build


def test_an_unchanged_key_and_output_are_not_built_again(tmp_path):
    calls: list[str] = []
    out = tmp_path / "out"
    made = [stage.make(out, {"b": 1, "a": (2,)}, _builder("x", calls)) for _ in range(2)]
    assert made == [True, False]
    assert calls == ["x"]


@pytest.mark.parametrize("harm", ["key", "bytes", "extra", "record", "record's bytes", "gone"])
def test_any_difference_is_built_again(tmp_path, harm):
    calls: list[str] = []
    out, key = tmp_path / "out", {"seed": 1}
    stage.make(out, key, _builder("x", calls))
    if harm == "key":
        key = {"seed": 2}
    elif harm == "bytes":
        (out / "part.txt").write_text("y")
    elif harm == "extra":
        (out / "more.txt").write_text("")
    elif harm == "record":
        (tmp_path / "out.record.json").write_text("{")
    elif harm == "record's bytes":
        (tmp_path / "out.record.json").write_bytes(b'{"key": "\xff"}')
    else:
        (out / "part.txt").unlink()
    assert stage.make(out, key, _builder("x", calls))
    assert [p.name for p in out.iterdir()] == ["part.txt"]
    assert (out / "part.txt").read_text() == "x"


def test_a_failed_build_leaves_the_output_and_resumes_aside(tmp_path):
    out = tmp_path / "out"
    stage.make(out, {"v": 1}, _builder("old", []))

    def fail(aside: Path) -> None:
        aside.mkdir()
        (aside / "half.txt").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        stage.make(out, {"v": 2}, fail)
    assert (out / "part.txt").read_text() == "old"
    assert not stage.make(out, {"v": 1}, fail)
    assert stage.make(out, {"v": 2}, lambda aside: (aside / "rest.txt").write_text("rest"))
    assert {p.name for p in out.iterdir()} == {"half.txt", "rest.txt"}


def test_tries_of_other_keys_are_cleared_away(tmp_path):
    (tmp_path / ".out.0123456789ab").mkdir()
    (tmp_path / ".out.json.tmp").touch()
    stage.make(tmp_path / "out", {}, _builder("x", []))
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"out", "out.record.json", ".out.json.tmp", ".out.lock"}


def test_a_kill_between_the_renames_loses_nothing(tmp_path):
    out = tmp_path / "out"
    stage.make(out, {"v": 1}, _builder("x", []))
    out.rename(tmp_path / ".out.old")
    assert not stage.make(out, {"v": 1}, _builder("x", []))
    assert (out / "part.txt").read_text() == "x"


def test_an_output_may_be_a_file(tmp_path):
    out = tmp_path / "table.csv"
    for text in ("a", "b"):
        assert stage.make(out, {"text": text}, lambda aside, text=text: aside.write_text(text))
    assert out.read_text() == "b"
    assert stage.digest(out) == "92eb5ffee6ae2fec3ad71c777531578f"


def test_digest_of_a_folder_knows_names_and_bytes(tmp_path):
    digests = set()
    for name, text in (("a", "1"), ("b", "1"), ("a", "2"), ("sub/a", "1")):
        folder = tmp_path / str(len(digests))
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        digests.add(stage.digest(folder))
    assert len(digests) == 4


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fill_the_disk() -> None:
        with stage.replacing(path) as aside:
            aside.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"file\.txt"):
        fill_the_disk()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_kill_before_the_old_output_is_removed_leaves_nothing_aside(tmp_path):
    out, calls = tmp_path / "out", []
    stage.make(out, {}, _builder("x", calls))
    (tmp_path / ".out.old").mkdir()
    assert not stage.make(out, {}, _builder("x", calls))
    assert not (tmp_path / ".out.old").exists()


def make_slowly(out, began):
    def build(aside):
        began.set()
        time.sleep(1.0)
        aside.write_text("made")

    return stage.make(out, {"a": 1}, build)


def test_two_processes_make_an_output_once_and_the_one_that_waits_says_so(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(locks, "TELL_S", 0.1)
    fork = multiprocessing.get_context("fork")
    began = fork.Event()
    other = fork.Process(target=make_slowly, args=(tmp_path / "out", began))
    other.start()
    began.wait(10)
    with caplog.at_level(logging.WARNING):
        assert not make_slowly(tmp_path / "out", fork.Event())
    assert f"waiting for another process, which makes {tmp_path / 'out'}" in caplog.text
    other.join()
    assert (other.exitcode, (tmp_path / "out").read_text()) == (0, "made")


def test_a_killed_process_keeps_nobody_from_making_its_output(tmp_path):
    fork = multiprocessing.get_context("fork")
    began = fork.Event()
    other = fork.Process(target=make_slowly, args=(tmp_path / "out", began))
    other.start()
    began.wait(10)
    other.kill()
    assert make_slowly(tmp_path / "out", fork.Event())


def test_whoever_only_looks_learns_whether_it_would_be_made_and_makes_nothing(tmp_path):
    out, key = tmp_path / "out", {"a": 1}
    with stage.looking():
        assert stage.make(out, key, lambda path: path.write_text("x"))
        assert not out.exists()
    assert stage.make(out, key, lambda path: path.write_text("x"))
    with stage.looking():
        assert not stage.make(out, key, lambda path: path.write_text("y"))
        assert stage.make(out, {"a": 2}, lambda path: path.write_text("y"))
    assert out.read_text() == "x"


def make_in_a_group(out, rank, said):
    """Makes an output as one of torchrun's two processes; only the first one writes."""
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="here", MASTER_PORT="1")

    def build(aside):
        if rank == 0:
            time.sleep(0.3)
            aside.write_text("made")
        else:
            time.sleep(0.6)
            said.put(aside.exists())

    said.put(stage.make(out, {"a": 1}, build))


def together(out):
    """What two processes say that make an output, and how they ended."""
    fork = multiprocessing.get_context("fork")
    said = fork.SimpleQueue()
    group = [fork.Process(target=make_in_a_group, args=(out, rank, said)) for rank in (0, 1)]
    for each in group:
        each.start()
    for each in group:
        each.join()
    answers = []
    while not said.empty():
        answers.append(said.get())
    return answers, [each.exitcode for each in group]


def test_of_processes_that_torchrun_began_the_first_one_alone_writes_and_waits_for_all(tmp_path):
    out = tmp_path / "out"
    assert together(out) == ([True, True, True], [0, 0])
    assert (out.read_text(), stage.recorded(out)[0]) == ("made", {"a": 1})
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".out.lock", "out", "out.record.json"}
    assert together(out) == ([False, False], [0, 0])
