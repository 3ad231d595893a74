"""The code that runs: its commit, how it differs from that, and all of it put elsewhere."""

import subprocess

import pytest

from vidtag_assets.workspace import home, source


def git(root, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def code(tmp_path):
    """A little code with encoders and data, in no repository."""
    root = tmp_path / "some code"
    texts = {
        "vidtag_ml/a.py": "a = 1\n",
        "vidtag_ml/table.csv": "1\n",
        "vidtag_assets/b.py": "b = 1\n",
        "params/c.yaml": "c: 1\n",
        "dvc.lock": "1\n",
        "params.yaml": "1\n",
        ".gitignore": "__pycache__/\n",
        "data/clips/video.mp4": "1\n",
        "vidtag_ml/__pycache__/a.pyc": "1\n",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def committed(code):
    git(code, "init", "-q")
    git(code, "add", ".")
    git(code, "commit", "-q", "-m", "first")
    return code


def test_code_without_a_repository_or_in_that_of_others_has_no_commit(code):
    assert source.commit(code) == source.NO_GIT
    git(code.parent, "init", "-q")
    git(code.parent, "commit", "-q", "--allow-empty", "-m", "of others")
    assert source.commit(code) == source.NO_GIT
    assert source.changes(code) == b""


def test_commit_tells_changes_of_code_but_not_of_data_and_parameters(committed):
    commit = source.commit(committed)
    for name in ("dvc.lock", "params.yaml"):
        (committed / name).write_text("2")
    (committed / "data" / "clips.dvc").write_text("2")
    (committed / "notes").write_text("not of the code")
    assert source.commit(committed) == commit
    (committed / "vidtag_ml" / "a.py").write_text("a = 2\n")
    assert source.commit(committed) == f"{commit}+changes"


def test_a_module_that_git_does_not_know_is_a_change(committed):
    commit = source.commit(committed)
    (committed / "vidtag_ml" / "new.py").write_text("n = 1\n")
    assert source.commit(committed) == f"{commit}+changes"


def test_changes_applied_to_the_commit_give_the_code(committed, tmp_path):
    git(committed, "clone", "-q", ".", str(tmp_path / "clone"))
    (committed / "vidtag_ml" / "a.py").write_text("ä = 2\n")
    (committed / "vidtag_ml" / "table.csv").unlink()
    (committed / "params" / "ü b.yaml").write_bytes(bytes(range(256)))
    (committed / "params" / "d.yaml").write_bytes("d: é\n".encode("latin-1"))
    (tmp_path / "patch").write_bytes(source.changes(committed))
    git(tmp_path / "clone", "apply", str(tmp_path / "patch"))
    assert source.digest(tmp_path / "clone") == source.digest(committed)
    assert subprocess.check_output(["git", "diff", "--cached"], cwd=committed) == b""


def test_packed_code_is_put_elsewhere_whole_and_without_data(code, tmp_path):
    (code / "vidtag_assets" / "b.py").chmod(0o755)
    source.pack(code, tmp_path / "code.tar")
    source.unpack(tmp_path / "code.tar", tmp_path / "there")
    assert source.digest(tmp_path / "there") == source.digest(code)
    assert list(source.files(tmp_path / "there")) == [
        ".gitignore", "params/c.yaml", "vidtag_assets/b.py", "vidtag_ml/a.py", "vidtag_ml/table.csv"
    ]  # fmt: skip
    assert (tmp_path / "there" / "vidtag_assets" / "b.py").stat().st_mode & 0o100


def test_any_file_of_the_code_changes_its_digest(code):
    before = source.digest(code)
    (code / "vidtag_ml" / "table.csv").write_text("2\n")
    assert source.digest(code) != before


def test_this_code_is_all_that_a_workspace_needs():
    found = set(source.files(home.CODE))
    ours = {"vidtag_assets/workspace/source.py", "vidtag_ml/code.json"}
    assert {*ours, "set-up", "dvc.yaml"} <= found


def test_small_weights_are_packed_and_change_no_code(code, tmp_path):
    before = source.digest(code)
    (code / "data" / "encoders").mkdir()
    for name, size in (("location", 10), ("clip", source.MOST_BYTES + 1)):
        (code / "data" / "encoders" / name).write_bytes(bytes(size))
    source.pack(code, tmp_path / "code.tar")
    source.unpack(tmp_path / "code.tar", tmp_path / "there")
    assert [p.name for p in (tmp_path / "there" / "data" / "encoders").iterdir()] == ["location"]
    assert source.digest(code) == source.digest(tmp_path / "there") == before
