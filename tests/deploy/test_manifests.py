"""What is deployed is what the tools that deploy it take; a fault in it would be found."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.adapters.metrics.files import exposition
from tidegate.control.policies.model import parse_config
from tidegate.gateway.ports import GatewayState

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
COMPOSE = ROOT / "deploy" / "compose"
MANIFESTS = sorted(
    file for file in KUBERNETES.rglob("*.yaml") if file.name not in ("kustomization.yaml", "tidegate.yaml")
)
SECRETS = {"TIDEGATE_MASTER_KEY": "m" * 40, "TIDEGATE_ADMIN_TOKEN": "a" * 40, "POSTGRES_PASSWORD": "p"}


def validated(file: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("kubernetes-validate")
    return subprocess.run([program, "--strict", file], capture_output=True, text=True, check=False)


def composed(file: Path, environ: dict[str, str], *over: Path) -> subprocess.CompletedProcess[str]:
    """Compose's own checker; the program beside the package, since the package's command hides its exit code."""
    found = importlib.util.find_spec("compose")
    assert found is not None
    assert found.origin is not None
    program = Path(found.origin).with_name("docker-compose")
    files = [word for one in (file, *over) for word in ("-f", str(one))]
    command = [str(program), *files, "--project-directory", str(COMPOSE), "config", "-q"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", **environ}
    )


def patched(document: dict[str, Any], patches: list[dict[str, Any]]) -> dict[str, Any]:
    """The document with those patches (RFC 6902: add, replace) that aim at it, as Kustomize applies them."""
    for patch in patches:
        if patch["target"] != {"kind": document["kind"], "name": document["metadata"]["name"]}:
            continue
        for step in yaml.safe_load(patch["patch"]):
            *parents, last = [part.replace("~1", "/") for part in step["path"].split("/")[1:]]
            place: Any = document
            for part in parents:
                place = place[int(part)] if isinstance(place, list) else place[part]
            if isinstance(place, list):
                assert (step["op"], last) == ("add", "-")
                place.append(step["value"])
            else:
                assert (step["op"] == "replace") == (last in place)
                place[last] = step["value"]
    return document


def documents() -> list[dict[str, Any]]:
    return [one for file in MANIFESTS for one in yaml.safe_load_all(file.read_text()) if one]


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.name)
def test_kubernetes_takes_every_manifest(file: Path) -> None:
    done = validated(file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_fault_in_a_manifest_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "gateway.yaml"
    wrong.write_text((KUBERNETES / "base" / "gateway.yaml").read_text().replace("replicas: 3", 'replicas: "three"'))
    assert validated(wrong).returncode != 0


def test_the_overlay_builds_where_kubectl_is(tmp_path: Path) -> None:
    """Kustomize itself where there is one; everywhere, that every resource and file it names is there."""
    for folder in ("base", "overlays/example"):
        named = yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text())
        files = [*named["resources"], *(file for one in named["configMapGenerator"] for file in one["files"])]
        assert all((KUBERNETES / folder / file).exists() for file in files)
    if not shutil.which("kubectl"):
        return
    copy = Path(shutil.copytree(KUBERNETES, tmp_path / "kubernetes"))
    overlay = copy / "overlays" / "example" / "kustomization.yaml"
    plain = overlay.read_text()
    for text in (plain, plain.replace("# components: ", "components: ")):
        overlay.write_text(text)
        built = subprocess.run(["kubectl", "kustomize", overlay.parent], capture_output=True, text=True, check=True)
        whole = tmp_path / "whole.yaml"
        whole.write_text(built.stdout)
        assert validated(whole).returncode == 0
        assert ("tidegate-control-tls" in built.stdout) == (text != plain)


def test_the_tls_component_mounts_certificates_and_is_asked_by_https(tmp_path: Path) -> None:
    component = yaml.safe_load((KUBERNETES / "components" / "tls" / "kustomization.yaml").read_text())
    whole = [patched(one, component["patches"]) for one in documents()]
    file = tmp_path / "whole.yaml"
    file.write_text(yaml.safe_dump_all(whole))
    assert validated(file).returncode == 0
    for one in whole:
        if one["kind"] == "Service":
            assert one["spec"]["ports"][0]["port"] == 443
        if one["kind"] != "Deployment":
            continue
        side = one["metadata"]["name"].removeprefix("tidegate-").upper()
        pod = one["spec"]["template"]["spec"]
        container = pod["containers"][0]
        env = {each["name"]: each.get("value") for each in container["env"]}
        mount = next(each for each in container["volumeMounts"] if each["name"] == "tls")
        assert "subPath" not in mount  # a renewed certificate reaches the pod
        assert mount["readOnly"] is True
        assert env[f"TIDEGATE_{side}_TLS_CERT"] == f"{mount['mountPath']}/tls.crt"
        assert env[f"TIDEGATE_{side}_TLS_KEY"] == f"{mount['mountPath']}/tls.key"
        assert next(each for each in pod["volumes"] if each["name"] == "tls")["secret"]["defaultMode"] == 0o440
        probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")]
        assert {probe["scheme"] for probe in probes} == {"HTTPS"}


def test_a_gateway_is_given_no_admin_token() -> None:
    (gateway,) = [one for one in documents() if one["metadata"]["name"] == "tidegate-gateway" and "template" in
                  one["spec"]]  # fmt: skip
    container = gateway["spec"]["template"]["spec"]["containers"][0]
    assert [each["secretRef"]["name"] for each in container["envFrom"]] == ["tidegate-providers"]
    assert "TIDEGATE_ADMIN_TOKEN" not in {each["name"] for each in container["env"]}
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    assert "TIDEGATE_ADMIN_TOKEN" not in services["gateway"]["environment"]
    assert "TIDEGATE_ADMIN_TOKEN" in services["control"]["environment"]


def test_every_container_is_confined_and_has_bounds() -> None:
    pods = [one["spec"]["template"]["spec"] for one in documents() if one["kind"] == "Deployment"]
    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]
    assert not [one for one in documents() if one["kind"] == "Secret"]


def test_the_autoscaler_reads_metrics_that_there_are() -> None:
    told = exposition([GatewayState(gateway_id="gw_1", pid=1)]).decode()
    scaler = next(one for one in documents() if one["kind"] == "HorizontalPodAutoscaler")
    names = [one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"] if one["type"] == "Pods"]
    assert len(names) == 2
    assert all(f"\n{name}" in told for name in names)


def test_a_gateway_s_pod_needs_no_configuration_so_that_a_new_one_restarts_only_control() -> None:
    mounted = {
        one["metadata"]["name"]: any("configMap" in volume for volume in one["spec"]["template"]["spec"]["volumes"])
        for one in documents()
        if one["kind"] == "Deployment"
    }
    assert mounted == {"tidegate-control": True, "tidegate-gateway": False}


def test_compose_publishes_one_port_of_this_machine_only() -> None:
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert len(published) == 1
    assert published[0].startswith("127.0.0.1:")
    assert services["gateway"]["deploy"]["replicas"] == 2


def test_compose_takes_the_file_and_demands_the_secrets() -> None:
    done = composed(COMPOSE / "compose.yaml", SECRETS)
    assert done.returncode == 0, done.stderr
    assert composed(COMPOSE / "compose.yaml", {}).returncode != 0
    done = composed(COMPOSE / "compose.yaml", SECRETS, COMPOSE / "tls.yaml")
    assert done.returncode == 0, done.stderr


def test_a_fault_in_the_compose_file_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((COMPOSE / "compose.yaml").read_text().replace("restart: unless-stopped", "restrat: often", 1))
    assert composed(wrong, SECRETS).returncode != 0


@pytest.mark.parametrize("file", sorted((ROOT / "deploy").rglob("tidegate.yaml")), ids=lambda file: file.parent.name)
def test_every_configuration_is_one(file: Path) -> None:
    assert parse_config(file.read_text(), file.name).deployments


def test_the_image_is_built_from_the_lock_and_runs_as_nobody() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes" in text
    assert "USER 10001:10001" in text
    copied = {word for line in text.splitlines() if line.startswith("COPY") and "--from" not in line
              for word in line.split()[1:-1]}  # fmt: skip
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert all((ROOT / word).exists() and f"!{word}" in ignored for word in copied)
