"""The command line as a fixture, for the tests of its modules."""

from dataclasses import dataclass

import pytest

from vidtag_ml import cli


@dataclass(frozen=True)
class Done:
    """What a command left on the screen."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def refusal(self):
        """The one line that a failed command says."""
        assert self.returncode in (1, 2), self
        assert self.stderr.count("\n") == 1, self.stderr
        assert self.stderr.startswith("vidtag: ")
        return self.stderr


@pytest.fixture
def vidtag(monkeypatch, capsys):
    """The command, run in a folder: `vidtag(folder, argument, ...)`."""

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main(arguments=list(map(str, arguments)))
        return Done(stopped.value.code, *capsys.readouterr())

    return run
