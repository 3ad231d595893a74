"""Servers as in production, on loopback, and workspaces that know them by their environment."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, lay_out
from tests.faults import graph
from tests.services import servers
from vidtag_ml import config

CLI = "from vidtag_assets import cli; cli.main()"


@dataclasses.dataclass(frozen=True)
class Services:
    """Servers, and the variables by which a shell tells programs of them."""

    postgres: servers.Postgres
    env: dict[str, str]

    def begin(self, root: Path, code: str) -> subprocess.Popen[str]:
        """A process of a workspace that runs code; what it says goes to `said` there."""
        with (root / "said").open("a") as said:
            return subprocess.Popen(
                [sys.executable, "-c", code],
                cwd=root,
                env={**os.environ, **self.env, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    def vidtag(self, root: Path, *arguments: str) -> str:
        """Standard output of a command in a workspace."""
        code = (
            f"import sys; sys.argv[1:] = {arguments!r}; from vidtag_assets import cli; cli.main()"
        )
        process = self.begin(root, code)
        said, _ = process.communicate()
        assert process.returncode == 0, (root / "said").read_text()[-3000:]
        return said


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """PostgreSQL, S3 on a disk, and MLflow's server on both."""
    if servers.programs() is None:
        pytest.skip("no PostgreSQL (Debian: apt-get install postgresql)")
    folder = tmp_path_factory.mktemp("services")
    with servers.postgres("dagster", "mlflow") as postgres, servers.s3(folder / "s3") as s3:
        env = servers.aws(s3)
        with servers.mlflow(folder / "mlflow", postgres.url("mlflow"), env) as mlflow:
            urls = {"DAGSTER_POSTGRES_URL": postgres.url("dagster"), "MLFLOW_TRACKING_URI": mlflow}
            yield Services(postgres, {**env, **urls})


@pytest.fixture(scope="module")
def trains(
    params: config.Params, tiny_encoders: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A workspace in which nothing has run yet, with production's instance of Dagster."""
    root = lay_out(tmp_path_factory.mktemp("trains") / "a workspace", params, tiny_encoders)
    (root / "out").mkdir()
    (root / graph.HOME).mkdir()
    shutil.copy(ROOT / "deploy" / "dagster" / "dagster.yaml", root / graph.HOME)
    return root
