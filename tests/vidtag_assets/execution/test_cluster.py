"""Kubernetes jobs as dagster-k8s renders them from the tags of the assets."""

import json

import pytest

from orchestration.definitions import defs
from vidtag_assets.execution import cluster, runs

ASSETS = [asset for asset in defs.assets if asset.is_executable]
NEEDING_GPUS = {
    "frame_features", "phase_one_model", "phase_two_model", "geoclip_model", "classifier_model",
    "cityguessr_model", "vidtag_evaluation", "geoclip_evaluation", "classifier_evaluation",
    "cityguessr_evaluation",
}  # fmt: skip


def rendered(tags):
    """The resources of the container of a job of a step whose operation has these tags."""
    job = pytest.importorskip("dagster_k8s.job")
    made = job.construct_dagster_k8s_job(
        job.DagsterK8sJobConfig(job_image="vidtag", dagster_home="/opt/dagster"),
        ["dagster", "api", "execute_step"],
        "dagster-step-of-a-test",
        user_defined_k8s_config=job.get_user_defined_k8s_config(tags),
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
    monkeypatch.setenv(cluster.EXECUTOR, "k8s")
    dagster_k8s = pytest.importorskip("dagster_k8s")
    assert cluster.executor() is dagster_k8s.k8s_job_executor
    monkeypatch.setenv(cluster.EXECUTOR, "slurm")
    with pytest.raises(ValueError, match="VIDTAG_EXECUTOR is 'slurm'; it may be local or k8s"):
        cluster.executor()
