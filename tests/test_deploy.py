"""What production is deployed with fits together, and fits what it starts."""

import io
import re
import sys
import tomllib
import urllib.parse
from importlib import metadata
from pathlib import Path

import dagster as dg
import dotenv
import pytest
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
VALUES = yaml.safe_load((DEPLOY / "helm" / "dagster.yaml").read_text())
MLFLOW, SERVICE = yaml.safe_load_all((DEPLOY / "helm" / "mlflow.yaml").read_text())
(CONTAINER,) = MLFLOW["spec"]["template"]["spec"]["containers"]
(CODE,) = VALUES["dagster-user-deployments"]["deployments"]
MODULE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["dagster"]["module_name"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def options(command):
    """Options of a command of lists, by name."""
    return dict(word.removeprefix("--").split("=", 1) for word in command if "=" in word)


def host_and_port(url):
    found = urllib.parse.urlsplit(re.sub(r"\$\{\w+:\?\}|\$\(\w+\)", "secret", url))
    return found.hostname, found.port


def test_productions_instance_differs_from_a_workspaces_by_its_database_alone():
    own, production = (
        yaml.safe_load((folder / "dagster.yaml").read_text())
        for folder in (ROOT, DEPLOY / "dagster")
    )
    storage = production.pop("storage")["custom"]
    assert production == own
    assert storage["config"] == {"postgres_url": {"env": "DAGSTER_POSTGRES_URL"}}


@pytest.mark.parametrize("told", [None, "/vidtag/deploy/dagster"])
def test_the_shells_instance_comes_before_that_of_the_workspace(monkeypatch, told):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    if told:
        monkeypatch.setenv("DAGSTER_HOME", told)
    written = re.search(r"cat >.env <<END\n(.*?)END\n", (ROOT / "set-up").read_text(), re.DOTALL)[1]
    lines = written.replace("$PWD", "/a workspace").replace("\\$", "$")
    values = dotenv.dotenv_values(stream=io.StringIO(lines))
    assert values["DAGSTER_HOME"] == (told or "/a workspace/.dagster")


COMMANDS = {name: SERVICES[name]["command"] for name in ("mlflow", "code", "webserver", "daemon")}
COMMANDS["mlflow of Kubernetes"] = CONTAINER["args"]
COMMANDS["code of Kubernetes"] = [
    "dagster", "code-server", "start", *CODE["codeServerArgs"], "--port", str(CODE["port"])
]  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_are_taken_as_they_stand(name, monkeypatch):
    """Programs refuse options that they do not know before they answer `--help`."""
    program = COMMANDS[name][0]
    monkeypatch.setattr(sys, "argv", [*COMMANDS[name], "--help"])
    with pytest.raises(SystemExit) as ended:
        min(metadata.entry_points(group="console_scripts", name=program)).load()()
    assert not ended.value.code


def test_the_code_that_is_served_is_the_projects():
    assert options(SERVICES["code"]["command"])["module-name"] == MODULE
    assert CODE["codeServerArgs"] == ["--module-name", MODULE]


def test_all_start_the_same_image_on_the_same_workspace():
    ours = [SERVICES[name] for name in ("code", "webserver", "daemon")]
    images = {service["image"] for service in (*ours, SERVICES["mlflow"])}
    assert images | {CONTAINER["image"], CODE["image"]["repository"]} == {"vidtag"}
    mounted = [volume.split(":") for service in ours for volume in service["volumes"]]
    mounted += [["..", mount["mountPath"]] for mount in CODE["volumeMounts"]]
    assert mounted == [["..", "/vidtag"]] * 4
    assert "PYTHONPATH=/vidtag " in DOCKERFILE
    home = Path(ours[0]["environment"]["DAGSTER_HOME"])
    assert (ROOT / home.relative_to("/vidtag") / "dagster.yaml").is_file()
    copied = re.findall(r"^COPY (.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert all((ROOT / name).exists() for names in copied for name in names.split())


def test_a_server_of_mlflow_answers_by_the_name_that_it_has_for_others():
    for words in (SERVICES["mlflow"]["command"], CONTAINER["args"]):
        told = options(words)
        assert "mlflow:5000" in told["allowed-hosts"].split(",")
        assert told["artifacts-destination"].startswith("s3://vidtag/")


def test_services_name_each_other_with_the_ports_that_they_listen_at():
    env = SERVICES["code"]["environment"]
    listens = {
        "postgres": 5432,
        "s3": 9000,
        "mlflow": int(options(SERVICES["mlflow"]["command"])["port"]),
        "code": int(options(SERVICES["code"]["command"])["port"]),
    }
    (server,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    told = [env[name] for name in ("DAGSTER_POSTGRES_URL", "MLFLOW_TRACKING_URI")]
    told += [env["AWS_ENDPOINT_URL"], SERVICES["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"]]
    named = {host_and_port(url) for url in told}
    named.add((server["grpc_server"]["host"], server["grpc_server"]["port"]))
    assert named == set(listens.items())


def test_alerts_have_their_address_and_no_password_is_an_argument():
    assert {"VIDTAG_ALERT_WEBHOOK", "VIDTAG_DAGSTER_URL"} <= set(SERVICES["code"]["environment"])
    for command in COMMANDS.values():
        assert "PASSWORD" not in " ".join(command)


def test_names_in_kubernetes_agree():
    env = {each["name"]: each.get("value") for each in CODE["env"]}
    assert {"VIDTAG_ALERT_WEBHOOK", "VIDTAG_DAGSTER_URL"} <= set(env)
    (port,) = SERVICE["spec"]["ports"]
    assert host_and_port(env["MLFLOW_TRACKING_URI"]) == (SERVICE["metadata"]["name"], port["port"])
    database = VALUES["postgresql"]
    own = {each["name"]: each.get("value") for each in CONTAINER["env"]}
    store = own["MLFLOW_BACKEND_STORE_URI"]
    assert host_and_port(store)[0] == database["postgresqlHost"]
    assert store.startswith(f"{database['postgresqlScheme']}://{database['postgresqlUsername']}:")
    secrets = {each["secretRef"]["name"] for each in CONTAINER["envFrom"]}
    assert secrets == {each["name"] for each in CODE["envSecrets"]}
    password = CONTAINER["env"][0]["valueFrom"]["secretKeyRef"]["name"]
    assert password == VALUES["global"]["postgresqlSecretName"]


def test_limits_are_those_of_a_workspace_in_kubernetes_too():
    own = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    told = VALUES["additionalInstanceConfig"]
    assert told == {key: own[key] for key in told}
    assert VALUES["telemetry"] == own["telemetry"]


def test_dagster_takes_the_limits_beside_what_its_chart_writes(tmp_path, monkeypatch):
    queue = {"dequeue_use_threads": True, "dequeue_num_workers": 4}
    coordinator = {"module": "dagster", "class": "QueuedRunCoordinator", "config": queue}
    written = {"run_coordinator": coordinator, **VALUES["additionalInstanceConfig"]}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(written))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 4
