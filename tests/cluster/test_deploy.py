"""The manifest and the images name what exists: keys, presets, files, versions. Nobody builds them here."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import azr
from azr.config import load, preset_names

ROOT = Path(azr.__file__).parents[1]
DEPLOY = ROOT / "deploy"
IMAGES = sorted((DEPLOY / "docker").glob("Dockerfile.*"))


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    found: dict[str, Any] = next(
        document
        for document in yaml.safe_load_all((DEPLOY / "kuberay" / "rayjob.yaml").read_text())
        if document["kind"] == "RayJob"
    )
    return found


def containers(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"]["containers"][0] for group in groups]


def test_the_manifests_ray_is_the_one_that_azr_pins(job: dict[str, Any]) -> None:
    pinned = next(
        line
        for line in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        if line.startswith("ray[")
    )
    assert pinned.endswith(f"=={job['spec']['rayClusterSpec']['rayVersion']}")


def test_the_manifests_cluster_asks_for_a_token_and_says_which_kuberay_makes_one(job: dict[str, Any]) -> None:
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert "Needs KubeRay 1.5.1 or newer" in (DEPLOY / "kuberay" / "rayjob.yaml").read_text()


def test_pods_with_cards_are_let_onto_nodes_that_only_such_pods_may_use(job: dict[str, Any]) -> None:
    [group] = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    keys = [each["key"] for each in group["template"]["spec"]["tolerations"]]
    assert keys == ["nvidia.com/gpu"] == [key for key in containers(job)[1]["resources"]["limits"] if "gpu" in key]


def test_the_manifests_run_composes(job: dict[str, Any]) -> None:
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:3] == ["azr", "train", "--config"]
    assert words[3] in preset_names()
    config = load([words[3]], words[4:])
    assert config.cluster.address == "auto"
    mounts = {mount["mountPath"] for mount in containers(job)[0]["volumeMounts"]}
    assert config.run.folder in mounts


def test_the_manifests_cards_are_those_of_the_presets_plan(job: dict[str, Any]) -> None:
    from azr.memory_plan.configured import plan_memory

    words = shlex.split(job["spec"]["entrypoint"])
    plan = plan_memory(load([words[3]], words[4:]))
    [group] = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    limits = containers(job)[1]["resources"]["limits"]
    assert int(limits["nvidia.com/gpu"]) * group["replicas"] == plan.cards
    assert _bytes(limits["memory"]) > plan.host + _shared_memory(job)


def test_shared_memory_holds_the_versions_and_one_in_rays_object_store(job: dict[str, Any]) -> None:
    """A pod's memory counts what lies there, and the head's registry takes a version in through its own heap, twice."""
    from azr.memory_plan.configured import plan_memory

    words = shlex.split(job["spec"]["entrypoint"])
    config = load([words[3]], words[4:])
    versions = plan_memory(config).versions
    one = versions // (config.weights.keep_versions + 1)
    assert _shared_memory(job) >= versions + one
    assert _bytes(containers(job)[0]["resources"]["limits"]["memory"]) > _shared_memory(job) + 2 * one


def test_every_pod_may_write_the_runs_volume(job: dict[str, Any]) -> None:
    """As the user of the image that the manifest names."""
    [user] = re.findall(r"useradd .*--uid (\d+)", (DEPLOY / "docker" / "Dockerfile.gpu").read_text())
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert group["template"]["spec"]["securityContext"]["fsGroup"] == int(user)


def test_stopping_is_told_as_ray_and_kubernetes_take_it() -> None:
    """Deleting a `RayJob` waits for nobody, so the job is stopped before."""
    text = (DEPLOY / "kuberay" / "rayjob.yaml").read_text()
    stop, delete = text.index("ray job stop $job"), text.index("kubectl delete rayjob")
    assert stop < delete


def _bytes(quantity: str) -> int:
    return int(quantity.removesuffix("Gi")) << 30


def _shared_memory(job: dict[str, Any]) -> int:
    volumes = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["volumes"]
    [limit] = [each["emptyDir"]["sizeLimit"] for each in volumes if each["name"] == "shared-memory"]
    return _bytes(limit)


def test_every_container_has_shared_memory_and_the_runs_volume(job: dict[str, Any]) -> None:
    for container in containers(job):
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/runs", "/dev/shm"}
        names = {variable["name"] for variable in container["env"]}
        assert "RAY_JOB_STOP_WAIT_TIME_S" in names


def test_a_stopped_job_has_less_time_than_its_pod(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    [wait] = [each["value"] for each in head["containers"][0]["env"] if each["name"] == "RAY_JOB_STOP_WAIT_TIME_S"]
    for group in (head, *(each["template"]["spec"] for each in cluster["workerGroupSpecs"])):
        assert int(wait) < group["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.suffix)
def test_images_copy_what_exists_and_what_the_build_context_lets_through(image: Path) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        source
        for line in re.sub(r"\\\n", " ", image.read_text()).splitlines()
        if line.startswith("COPY ")
        for source in line.split()[1:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source.partition("/")[0] in allowed, f"{source} does not reach the build"


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.suffix)
def test_images_copy_every_package_of_the_wheel(image: Path) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    text = image.read_text()
    for package in [*wheel["packages"], *wheel["force-include"]]:
        assert f"COPY {package} {package}" in text


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.suffix)
def test_images_run_as_a_user_of_their_own(image: Path) -> None:
    users = re.findall(r"^USER (\S+)", image.read_text(), flags=re.MULTILINE)
    assert users[-1] == "ray"
