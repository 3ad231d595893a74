"""Kubernetes jobs as dagster-k8s renders them from the tags of the assets."""

import json
import re
from pathlib import Path

import dagster as dg
import pytest
import yaml

from orchestration.definitions import build_definitions, defs
from vidtag_assets.assets import factory
from vidtag_assets.execution import cluster, runs
from vidtag_assets.training import process_group
from vidtag_ml.models.registry import SYSTEMS

ASSETS = [asset for asset in defs.assets if asset.is_executable]
NEEDING_GPUS = {
    "frame_features", "phase_one_model", "phase_two_model", "geoclip_model", "classifier_model",
    "cityguessr_model", "vidtag_evaluation", "geoclip_evaluation", "classifier_evaluation",
    "cityguessr_evaluation",
}  # fmt: skip


def rendered(tags, of_run=None):
    """The resources of the container of a job of a step whose operation has these tags.

    `of_run`: what the run's configuration says of this step.
    """
    pytest.importorskip("dagster_k8s")
    from dagster_k8s import job
    from dagster_k8s.container_context import K8sContainerContext

    said = job.UserDefinedDagsterK8sConfig.from_dict(of_run or {})
    tagged = K8sContainerContext(run_k8s_config=job.get_user_defined_k8s_config(tags))
    made = job.construct_dagster_k8s_job(
        job.DagsterK8sJobConfig(job_image="vidtag", dagster_home="/opt/dagster"),
        ["dagster", "api", "execute_step"],
        "dagster-step-of-a-test",
        user_defined_k8s_config=tagged.merge(
            K8sContainerContext(run_k8s_config=said)
        ).run_k8s_config,
    )
    (container,) = made.spec.template.spec.containers
    return container.resources


@pytest.mark.parametrize("asset", ASSETS, ids=lambda a: a.key.to_user_string())
def test_the_pod_of_every_asset_has_processors_and_memory(asset):
    resources = rendered(asset.op.tags)
    assert {"cpu", "memory"} <= set(resources.requests)
    assert resources.limits["memory"] == resources.requests["memory"]
    gpus = resources.limits.get(cluster.GPU, "0")
    assert gpus == ("1" if asset.key.to_user_string() in NEEDING_GPUS else "0")
    assert resources.requests.get(cluster.GPU, "0") == gpus


def test_needs_are_in_the_units_of_kubernetes():
    needs = cluster.needs(cpu=1.5, memory_gb=2.5, gpus=8)
    resources = rendered({name: json.dumps(tag) for name, tag in needs.items()})
    assert resources.requests == {"cpu": "1500m", "memory": "2560Mi", cluster.GPU: "8"}
    assert resources.limits == {"memory": "2560Mi", cluster.GPU: "8"}


def test_the_environment_chooses_the_executor(monkeypatch):
    assert cluster.executor() is runs.executor
    monkeypatch.setenv(runs.EXECUTOR, "k8s")
    dagster_k8s = pytest.importorskip("dagster_k8s")
    assert cluster.executor() is dagster_k8s.k8s_job_executor
    monkeypatch.setenv(runs.EXECUTOR, "slurm")
    with pytest.raises(ValueError, match="VIDTAG_EXECUTOR is 'slurm'; it may be local or k8s"):
        cluster.executor()


def test_a_training_by_several_processes_asks_for_as_many_gpus(monkeypatch):
    monkeypatch.setenv(process_group.VARIABLE, "4")
    phase_one = factory.assets_of(SYSTEMS["vidtag"])[0]
    assert rendered(phase_one.op.tags).limits[cluster.GPU] == "4"


def test_the_configuration_of_a_run_that_operations_md_shows_changes_what_a_step_gets(monkeypatch):
    monkeypatch.setenv(runs.EXECUTOR, "k8s")
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    (shown,) = re.findall(r"`(execution: .*per_step_k8s_config.*)`", page)
    config = yaml.safe_load(f"{{{shown}}}")
    pods = dg.Definitions.merge(build_definitions(), dg.Definitions(executor=cluster.executor()))
    steps = config["execution"]["config"]["per_step_k8s_config"]
    (phase_one,) = (a for a in ASSETS if a.key.to_user_string() in steps)
    assert dg.validate_run_config(pods.resolve_job_def("everything"), config)
    resources = rendered(phase_one.op.tags, steps[phase_one.key.to_user_string()])
    assert resources.limits == {"memory": "64Gi", cluster.GPU: "0"}
    assert resources.requests == {"cpu": "2000m", "memory": "64Gi", cluster.GPU: "0"}
