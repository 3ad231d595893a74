"""From the inbox to a verdict without a hand: each run is what a sensor or schedule asked for."""

import dataclasses
import datetime as dt
import os
import shutil

import dagster as dg
import pytest
import yaml

from orchestration import schedules, sensors
from orchestration.definitions import build_definitions
from tests.conftest import resources_of
from tests.data import recordings
from vidtag_ml import config
from vidtag_ml.models.registry import SYSTEMS

pytestmark = pytest.mark.slow


@dataclasses.dataclass
class Operated:
    """A workspace, and Dagster, which does what it is asked for."""

    root: object
    instance: dg.DagsterInstance
    defs: dg.Definitions
    resources: dict

    def put(self, *numbers):
        """Puts walks into the inbox, a while ago."""
        folder = self.root / "data" / "inbox" / "trip"
        folder.mkdir(parents=True, exist_ok=True)
        for number in numbers:
            began = recordings.NOON + dt.timedelta(days=number)
            recordings.recording(folder, f"{number}", number, lat=40.0 + number, began=began)
        for path in (folder, *folder.iterdir()):
            os.utime(path, (path.stat().st_mtime - 60,) * 2)

    def ask(self, sensor):
        """What a sensor asks for; its partitions are added."""
        needed = {"inbox": ["workspace"], "arrivals": ["params_file"]}.get(sensor.name, [])
        resources = {name: self.resources[name] for name in needed}
        answer = sensor(dg.build_sensor_context(self.instance, resources=resources))
        for asked in answer.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(asked.partitions_def_name, asked.partition_keys)
        return answer.run_requests

    def run(self, job, request):
        """The run that was asked for, as it ended."""
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, partition_key=request.partition_key, tags=request.tags
        )

    def shown(self, result, asset):
        """What an asset told in a run."""
        events = (e.step_materialization_data for e in result.get_asset_materialization_events())
        made = {m.asset_key.to_user_string(): m for m in (e.materialization for e in events)}
        return {key: value.value for key, value in made[asset].metadata.items()}


@pytest.fixture
def operated(params, tiny_encoders, tmp_path):
    """A workspace of own recordings in which nothing has run yet."""
    shutil.copytree(tiny_encoders, tmp_path / "data" / "encoders")
    own = dataclasses.replace(
        params,
        clips=dataclasses.replace(params.clips, source="recordings"),
        retraining=dataclasses.replace(params.retraining, cooldown_hours=0.0),
    )
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config.as_dict(own), sort_keys=False))
    (tmp_path / "data" / "flyover").symlink_to("recordings")  # for DVC's fake
    resources = resources_of(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Operated(tmp_path, instance, build_definitions(**resources), resources)


def test_recordings_in_the_inbox_become_a_verdict_and_later_ones_another(operated):
    operated.put(*range(6))
    (taken_in,) = operated.ask(sensors.inbox)
    assert operated.run("take_in", taken_in).success
    (arrived,) = operated.ask(sensors.arrivals)
    first = operated.run("reconsider", arrived)
    assert operated.shown(first, "retraining_policy")["why"] == "first model: there is none"
    (due,) = operated.ask(sensors.launching(SYSTEMS["vidtag"]))
    trained = operated.run("retrain", due)
    assert operated.shown(trained, "champion_model")["verdict"] in {"promoted", "rejected"}
    assert not operated.shown(trained, "retraining_policy")["retrain"]
    operated.put(6)
    with dg.build_schedule_context(
        resources={name: operated.resources[name] for name in ("workspace", "params_file")}
    ) as monday:
        second = operated.run("reconsider", schedules.weekly_retraining(monday))
    assert operated.shown(second, "own_recordings")["dagster/row_count"] == 7
    assert "1 came, 0 went" in operated.shown(second, "retraining_policy")["why"]
    (due,) = operated.ask(sensors.launching(SYSTEMS["vidtag"]))
    assert due.tags["vidtag/why"] == operated.shown(second, "retraining_policy")["why"]
