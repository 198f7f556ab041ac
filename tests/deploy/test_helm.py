# SPDX-License-Identifier: BSD-2-Clause-Patent
"""deploy/helm: what the chart renders, over a matrix of values, and what its schema refuses.

usage: test_helm.py VMAFX [CASE…]
"""
import copy
import json
import re
import shutil

import signals
from chart import (CHART, WORKLOADS, containers, helm, main_container, place, refused, render, values_of, variables)
from chart_values import ALL, ISSUER, KEDA, MATRIX, MEDIA, MONITORED, NONE, PEERS, SECRET, SIDECAR, both, source
from harness import case, main


def settings(program):
    """Of docs/operate.md, which a test compares with the program's own table."""
    block = re.search(rf"<!-- settings: src/programs/{program}/main.c -->\n(.*?)<!-- /settings -->", signals.read("docs/operate.md"), re.S)
    return set(re.findall(r"^\| `(VMAFX_\w+)`", block[1], re.M))


# ---- What holds for every rendering ----

def look_at_pod(spec, labels, where):
    security = spec["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] > 0 and security["fsGroup"] > 0, where
    assert security["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost"), where
    assert spec["enableServiceLinks"] is False, where
    assert spec["automountServiceAccountToken"] is (labels["app.kubernetes.io/component"] == "certificates"), where
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        assert not spec.get(key), where
    volumes = [volume["name"] for volume in spec["volumes"]]
    assert len(volumes) == len(set(volumes)), (where, volumes)
    mounted = set()
    names = [container["name"] for container in containers(spec)]
    assert len(names) == len(set(names)), (where, names)
    for container in containers(spec):
        at = (where, container["name"])
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}, at
        assert container["resources"]["limits"]["memory"], at
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        assert len(paths) == len(set(paths)), (at, paths)
        mounted |= {mount["name"] for mount in container["volumeMounts"]}
        seen = []
        for one in container.get("env", []):
            assert one["name"] not in seen, (at, one["name"], "twice")
            for used in re.findall(r"\$\((\w+)\)", str(one.get("value", ""))):
                assert used in seen, (at, one["name"], f"$({used}) is not there before it")
            assert isinstance(one.get("value", ""), str), (at, one)
            seen.append(one["name"])
    assert mounted == set(volumes) | {"store"} & mounted, (where, mounted ^ set(volumes))


def look_at_program(spec, component, where):
    container = main_container(spec)
    assert container["name"] == component and container["args"] == [f"vmafx-{component}"], where
    known = settings(component) | {"VMAFX_LOG_LEVEL", "VMAFX_LOG_FORMAT", "VMAFX_MODEL_PATH"}
    env = variables(container)
    assert not {name for name in env if name.startswith("VMAFX_")} - known, (where, env.keys() - known)
    tls = "VMAFX_TLS_CERT" in env
    assert tls != ("VMAFX_INSECURE_LISTEN" in env), where
    for probe, path in (("startupProbe", "/startupz"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "http", "scheme": "HTTPS" if tls else "HTTP"}, (where, probe)
    assert {"http"} <= {port["name"] for port in container["ports"]}, where
    paths = [mount["mountPath"] for mount in container["volumeMounts"]]
    for name, value in env.items():
        if name.startswith("VMAFX_") and isinstance(value, str) and value.startswith("/") and "ROOTS" not in name:
            assert any(value == path or value.startswith(path + "/") for path in paths), (where, name, value, "is on no volume")
    for part in ("k8s.pod.name=$(POD_NAME)", "k8s.namespace.name=$(POD_NAMESPACE)", "k8s.node.name=$(K8S_NODE_NAME)"):
        assert part in env["OTEL_RESOURCE_ATTRIBUTES"], where
    assert env["POD_NAME"] == {"fieldRef": {"fieldPath": "metadata.name"}}, where
    assert env["K8S_NODE_NAME"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}, where
    assert not any(mount["name"] in ("authority", "issuing") for mount in container["volumeMounts"]), \
        (where, "the program sees the authority's key")


def look_at(objects, where):
    keys = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(keys) == len(set(keys)), (where, "an object is there twice")
    pods = []
    for one in objects:
        assert len(one["metadata"]["name"]) <= 63, (where, one["metadata"]["name"])
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] and labels["app.kubernetes.io/instance"] and labels["app.kubernetes.io/component"], (where, one)
        assert all(len(str(value)) <= 63 for value in labels.values()), (where, labels)
    for one in objects.all(*WORKLOADS):
        spec, labels = one["spec"]["template"]["spec"], one["spec"]["template"]["metadata"]["labels"]
        name = (where, one["metadata"]["name"])
        pods.append((one, spec, labels))
        look_at_pod(spec, labels, name)
        assert spec["serviceAccountName"] in objects.names("ServiceAccount"), name
        if one["kind"] != "Job":
            assert values_of(one["spec"]["selector"]["matchLabels"], labels), name
            look_at_program(spec, labels["app.kubernetes.io/component"], name)
            # Of a Deployment's pods; they are names of nodes, which have 63 letters at most.
            assert one["kind"] != "Deployment" or len(one["metadata"]["name"]) + len("-0123456789-01234") <= 63, name
    for service in objects.all("Service"):
        chosen = [spec for one, spec, labels in pods if values_of(service["spec"]["selector"], labels)]
        assert len(chosen) == 1, (where, service["metadata"]["name"], len(chosen))
        ports = {port["name"] for port in main_container(chosen[0])["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} == ports, (where, service["metadata"]["name"])
    for one in objects.all("NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor", "PodMonitor"):
        selector = one["spec"].get("podSelector") or one["spec"]["selector"]
        chosen = [labels for _, _, labels in pods if values_of(selector["matchLabels"], labels)]
        assert len(chosen) == 1, (where, one["kind"], one["metadata"]["name"], len(chosen))
    look_for_secrets(objects, where)
    look_at_references(objects, pods, where)


def look_for_secrets(objects, where):
    assert not objects.all("Secret"), (where, "a Secret in a release is in Helm's history too")
    text = json.dumps([one for one in objects])
    assert not re.search(r"PRIVATE KEY|vmafx_[A-Za-z0-9_-]{43}", text), where
    for config in objects.all("ConfigMap"):
        for name, content in config["data"].items():
            for line in content.splitlines():
                match = re.match(r'\s*"?[\w.-]*(authorization|api[-_]?key|token|password|secret)"?\s*:\s*(\S.*)', line, re.I)
                assert not match or match[2].startswith(("${env:", "'${env:", '"${env:')), (where, name, line)


def look_at_references(objects, pods, where):
    """ConfigMaps that pods mount are rendered; Secrets are somebody's who is known."""
    made = {"vmafx-authority", "vmafx-tokens", "vmafx-metrics-token"}  # the Job's
    made |= {one["spec"]["secretName"] for one in objects.all("Certificate")}
    made |= {"authority", "tokens", "reader", "otlp"}  # the matrix's own
    prefix = next(iter(objects.all("ServiceAccount")))["metadata"]["name"].removesuffix("-certificates")
    made |= {name.replace("vmafx", prefix, 1) for name in made}
    for one, spec, _ in pods:
        for volume in spec["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in objects.names("ConfigMap"), (where, volume)
            if "secret" in volume:
                assert volume["secret"]["secretName"] in made, (where, one["metadata"]["name"], volume)
                assert volume["secret"]["defaultMode"] == 0o440, (where, volume)


@case
def every_rendering_of_the_matrix_holds_together():
    for where, values in MATRIX.items():
        look_at(render(values), where)


@case
def helm_lint_has_no_complaint():
    for where, values in MATRIX.items():
        got = helm("lint", "--strict", values=values)
        assert got.returncode == 0 and "1 chart(s) linted, 0 chart(s) failed" in got.stdout, (where, got.stdout, got.stderr)
        assert "[WARNING]" not in got.stdout and "[ERROR]" not in got.stdout, (where, got.stdout)


@case
def a_broken_chart_is_noticed():
    """The tests above would fail: a mount without a volume, a policy that chooses nobody, a key in a ConfigMap."""
    good = render(MATRIX["everything, certificates by the Job"])
    for why, spoil in (
            ("volume", lambda o: o.pod("node")["volumes"].pop(0)),
            ("policy", lambda o: o.get("NetworkPolicy", "vmafx-node")["spec"]["podSelector"]["matchLabels"].update({"app.kubernetes.io/component": "nod"})),
            ("secret", lambda o: o.get("ConfigMap", "vmafx-otel-collector")["data"].update({"x": "api_key: abc"})),
            ("privileges", lambda o: main_container(o.pod("server"))["securityContext"].update(allowPrivilegeEscalation=True)),
            ("authority", lambda o: main_container(o.pod("node"))["volumeMounts"].append({"name": "authority", "mountPath": "/a"})),
            ("setting", lambda o: main_container(o.pod("mcp"))["env"].append({"name": "VMAFX_MCP_TLS", "value": "1"})),
            ("reference", lambda o: main_container(o.pod("node"))["env"].insert(0, {"name": "A", "value": "$(POD_NAME)"}))):
        objects = copy.deepcopy(good)
        spoil(objects)
        try:
            look_at(objects, why)
        except AssertionError:
            continue
        raise AssertionError(f"nobody noticed: {why}")


# ---- Parts ----

@case
def by_default_there_are_a_controller_and_nodes():
    objects = render()
    assert objects.names("StatefulSet") == ["vmafx-controller"] and objects.names("Deployment") == ["vmafx-node"]
    stateful = objects.get("StatefulSet", "vmafx-controller")["spec"]
    assert stateful["replicas"] == 1
    [claim] = stateful["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"] and claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    env = variables(main_container(objects.pod("controller")))
    assert env["VMAFX_CONTROLLER_STORE"] == "/var/lib/vmafx/jobs.db" and env["VMAFX_CONTROLLER_GRPC"] == "0.0.0.0:7801"
    env = variables(main_container(objects.pod("node")))
    assert env["VMAFX_CONTROLLER"] == "vmafx-controller:7801" and env["VMAFX_NODE_NAME"] == "$(POD_NAME)"
    assert not objects.all("ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject", "Certificate")
    assert {one["metadata"]["name"] for one in objects.all("Job")} == {"vmafx-certificates"}


@case
def the_side_car_is_a_container_and_the_programs_send_to_it():
    for kubernetes, native, options in (("1.30.0", True, {}), ("1.28.0", False, {}), ("1.30.0", False, {"native": False})):
        objects = render(both(ALL, {"otelCollector": {"enabled": True, "image": {"repository": "mirror/otelcol", "tag": "1.2.3"}, **options}}),
                         kubernetes=kubernetes)
        for component in ("controller", "node", "server", "mcp"):
            spec = objects.pod(component)
            [collector] = [one for one in containers(spec) if one["name"] == "otel-collector"]
            assert (collector in spec.get("initContainers", [])) == native == (collector.get("restartPolicy") == "Always"), (kubernetes, component)
            assert collector["image"] == "mirror/otelcol:1.2.3"
            [mount] = collector["volumeMounts"]
            assert collector["args"] == [f"--config={mount['mountPath']}/config.yaml"]
            program = main_container(spec)
            env = variables(program)
            assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://localhost:4317" and env["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc"
            assert not any(name.endswith("_EXPORTER") for name in env), env
            # Nothing about the program is another than without it.
            without = main_container(render(ALL).pod(component))
            for key in without:
                assert key == "env" or program[key] == without[key], (component, key)


@case
def the_collector_gets_a_configuration_that_ends_where_values_say():
    objects = render(SIDECAR)
    [config] = signals.yaml_of(objects.get("ConfigMap", "vmafx-otel-collector")["data"]["config.yaml"])
    assert config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == "127.0.0.1:4317"
    assert set(config["service"]["pipelines"]) == {"traces", "metrics", "logs"}
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert pipeline[kind] and all(name in config[kind] for name in pipeline[kind]), pipeline
        assert pipeline["processors"][0] == "memory_limiter" and pipeline["exporters"] == ["debug", "otlp"], pipeline
    assert config["service"]["extensions"] == ["health_check"] and config["extensions"]["health_check"]["endpoint"] == "0.0.0.0:13133"
    [collector] = [one for one in containers(objects.pod("node")) if one["name"] == "otel-collector"]
    assert variables(collector) == {"OTLP_AUTHORIZATION": {"secretKeyRef": {"name": "otlp", "key": "authorization"}}}
    whole = {"receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "127.0.0.1:4317"}}}}, "exporters": {"nop": {}},
             "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["nop"]}}}}
    objects = render({"otelCollector": {"enabled": True, "config": whole}})
    assert signals.yaml_of(objects.get("ConfigMap", "vmafx-otel-collector")["data"]["config.yaml"]) == [whole]
    changed = render(both(SIDECAR, {"otelCollector": {"exporters": {"otlp": {"endpoint": "other:4317"}}}}))
    sums = [one.get("StatefulSet", "vmafx-controller")["spec"]["template"]["metadata"]["annotations"]["checksum/otel-collector"]
            for one in (render(SIDECAR), changed)]
    assert sums[0] != sums[1], "pods are not restarted for a new configuration"


@case
def a_secret_in_the_collectors_configuration_is_refused():
    for header in ({"authorization": "Bearer abc"}, {"x-api-key": "abc"}, {"Api_Key": "abc"}):
        refused("a secret belongs into a Secret", {"otelCollector": {"enabled": True, "exporters": {"otlp": {"headers": header}}}})
    refused("a secret belongs into a Secret", {"otelCollector": {"enabled": True, "config": {"exporters": {"x": {"password": "abc"}}}}})
    refused("where should telemetry go", {"otelCollector": {"enabled": True, "exporters": {"debug": None}}})


@case
def without_a_side_car_telemetry_goes_where_it_is_sent_or_nowhere():
    env = variables(main_container(render().pod("node")))
    assert [env[f"OTEL_{signal}_EXPORTER"] for signal in ("TRACES", "METRICS", "LOGS")] == ["none"] * 3
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in env
    env = variables(main_container(render(MATRIX["a collector elsewhere"]).pod("node")))
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://otlp.example:4318" and env["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert env["OTEL_EXPORTER_OTLP_HEADERS"] == {"secretKeyRef": {"name": "otlp", "key": "headers"}}
    assert env["OTEL_TRACES_SAMPLER_ARG"] == "0.1"
    assert env["OTEL_RESOURCE_ATTRIBUTES"].endswith(",k8s.cluster.name=a%2C%20b"), env["OTEL_RESOURCE_ATTRIBUTES"]
    assert not any(name.endswith("_EXPORTER") for name in env)


@case
def certificates_come_from_a_job_a_secret_or_cert_manager():
    job = render(ALL)
    assert [one["secret"]["secretName"] for one in job.pod("node")["volumes"] if one["name"] == "authority"] == ["vmafx-authority"]
    assert job.get("Job", "vmafx-certificates")["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    rules = job.get("Role", "vmafx-certificates")["rules"]
    assert rules[0]["resourceNames"] == ["vmafx-authority", "vmafx-tokens", "vmafx-metrics-token"] and rules[0]["verbs"] == ["get"], rules
    assert rules[1]["verbs"] == ["create"] and len(rules) == 2, rules

    secret = render(both(ALL, SECRET))
    assert not secret.all("Job", "Role", "RoleBinding")
    assert [one["secret"]["secretName"] for one in secret.pod("mcp")["volumes"] if one["name"] == "authority"] == ["authority"]
    assert "VMAFX_TOKENS" not in variables(main_container(secret.pod("controller")))
    refused("authoritySecret", source("secret"))

    manager = render(both(ALL, ISSUER, MONITORED, {"openMetrics": True}))
    assert not manager.all("Job") and "initContainers" not in manager.pod("node")
    volumes = {one["name"]: one for one in manager.pod("node")["volumes"]}
    attributes = volumes["certificate-grpc"]["csi"]["volumeAttributes"]
    assert volumes["certificate-grpc"]["csi"]["driver"] == "csi.cert-manager.io"
    assert attributes["csi.cert-manager.io/uri-sans"] == "vmafx://node/${POD_NAME}" and attributes["csi.cert-manager.io/issuer-kind"] == "ClusterIssuer"
    certificates = {one["metadata"]["name"]: one["spec"] for one in manager.all("Certificate")}
    assert sorted(certificates) == ["vmafx-ca", "vmafx-controller", "vmafx-mcp", "vmafx-mcp-client", "vmafx-server"], sorted(certificates)
    assert certificates["vmafx-mcp-client"]["uris"] == ["vmafx://writer/mcp"] and "client auth" in certificates["vmafx-mcp-client"]["usages"]
    assert "vmafx-controller.video.svc.cluster.local" in certificates["vmafx-controller"]["dnsNames"]
    refused("certificates.issuer.name", source("certManager"))

    none = render(both(ALL, NONE))
    assert not none.all("Job", "Certificate") and variables(main_container(none.pod("server")))["VMAFX_INSECURE_LISTEN"] == "1"


@case
def nodes_have_time_to_finish_what_they_do():
    objects = render(both(ALL, {"nodes": {"drainSeconds": 3600}, "server": {"drainSeconds": 120}}))
    assert objects.pod("node")["terminationGracePeriodSeconds"] == 3600
    server = objects.pod("server")
    assert variables(main_container(server))["VMAFX_SERVER_GRACE"] == "120s" and server["terminationGracePeriodSeconds"] == 135
    assert main_container(server)["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "5"]
    assert "lifecycle" not in main_container(objects.pod("node")), "nothing is sent to a node, so it may begin to drain at once"


@case
def media_models_and_devices_reach_the_pods_that_read_videos():
    objects = render(both(ALL, MEDIA, {"nodes": {"gpus": {"count": 2}}}))
    for component, name in (("node", "VMAFX_NODE_INPUT_ROOTS"), ("server", "VMAFX_SERVER_INPUT_ROOTS"), ("mcp", "VMAFX_MCP_ROOTS")):
        container = main_container(objects.pod(component))
        assert variables(container)[name] == "/media:/archive" and variables(container)["VMAFX_MODEL_PATH"] == "/models", component
        assert {"/media", "/models"} <= {mount["mountPath"] for mount in container["volumeMounts"]}, component
    assert not {"media", "models"} & {volume["name"] for volume in objects.pod("controller")["volumes"]}
    assert main_container(objects.pod("node"))["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 2}
    assert main_container(objects.pod("server"))["resources"]["limits"] == {"memory": "4Gi"}
    profile = render(MATRIX["an existing claim, GPUs, a profile"]).pod("node")
    assert profile["securityContext"]["seccompProfile"] == {"type": "Localhost", "localhostProfile": "vmafx.json"}
    assert profile["hostUsers"] is False and "hostUsers" not in objects.pod("node")


@case
def policies_let_in_whom_values_name_and_nobody_else():
    objects = render(both(ALL, PEERS, SIDECAR))
    clients, monitoring = PEERS["networkPolicy"]["clients"], PEERS["networkPolicy"]["monitoring"]

    def who(component, port):
        rules = objects.get("NetworkPolicy", f"vmafx-{component}")["spec"]["ingress"]
        return [peer for rule in rules if port in [one["port"] for one in rule["ports"]] for peer in rule["from"]]

    assert who("controller", 7801)[1:] == clients + clients and "podSelector" in who("controller", 7801)[0]
    assert who("controller", 7800) == clients + monitoring and who("node", 7820) == monitoring
    assert who("server", 7811) == clients and who("server", 7810) == clients + monitoring and who("mcp", 7830) == clients + monitoring
    egress = objects.get("NetworkPolicy", "vmafx-node")["spec"]["egress"]
    assert PEERS["networkPolicy"]["mediaEgress"][0] in egress and {"ports": [{"port": 4317}]} in egress
    assert all("to" in rule or {port["port"] for port in rule["ports"]} <= {53, 4317} for rule in egress), egress
    closed = render(ALL)
    for component in ("node", "server", "mcp"):
        assert closed.get("NetworkPolicy", f"vmafx-{component}")["spec"]["ingress"] == [], component
    for policy in objects.all("NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    elsewhere = render(MATRIX["only nodes, for a controller elsewhere"])
    assert {"ports": [{"port": 7801, "protocol": "TCP"}]} in elsewhere.get("NetworkPolicy", "vmafx-node")["spec"]["egress"]


@case
def monitors_find_the_pods_and_give_them_the_names_that_rules_know():
    objects = render(both(ALL, MONITORED))
    jobs = {}
    for one in objects.all("ServiceMonitor", "PodMonitor"):
        [endpoint] = one["spec"].get("endpoints") or one["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] == "http" and endpoint["path"] == "/metrics" and endpoint["scheme"] == "https", endpoint
        assert endpoint["tlsConfig"] == {"ca": {"secret": {"name": "vmafx-authority", "key": "ca.crt"}}, "serverName": one["metadata"]["name"]}
        assert endpoint["authorization"]["credentials"] == {"name": "vmafx-metrics-token", "key": "token"}, endpoint
        assert one["metadata"]["labels"]["release"] == "prometheus"
        jobs[one["metadata"]["name"]] = endpoint["relabelings"][0]["replacement"]
    assert jobs == {f"vmafx-{component}": f"vmafx-{component}" for component in ("controller", "node", "server", "mcp")}, jobs
    opened = render(both(MONITORED, SECRET, {"openMetrics": True}))
    [endpoint] = opened.get("ServiceMonitor", "vmafx-controller")["spec"]["endpoints"]
    assert "authorization" not in endpoint and variables(main_container(opened.pod("node")))["VMAFX_OPEN_METRICS"] == "1"
    [endpoint] = render(both(MONITORED, NONE)).get("ServiceMonitor", "vmafx-controller")["spec"]["endpoints"]
    assert "scheme" not in endpoint and "tlsConfig" not in endpoint
    refused("needs a reader's token", both(MONITORED, SECRET))


@case
def rules_and_boards_are_those_of_deploy():
    objects = render(both(MONITORED, {"monitoring": {"docsUrl": "https://docs.example/vmafx/"}}))
    rule = objects.get("PrometheusRule", "vmafx")["spec"]
    with open("rules.json", "w", encoding="utf-8") as f:
        json.dump(rule, f)
    got = signals.promtool("check", "rules", "rules.json")
    assert got.returncode == 0, got.stdout + got.stderr
    [ours] = signals.yaml_of(signals.read("deploy/prometheus/vmafx.rules.yaml"))
    text = json.dumps(rule["groups"]).replace("https://docs.example/vmafx/docs/", "docs/")
    assert json.loads(text) == ours["groups"] and "https://docs.example/vmafx/docs/runbook.md#vmafxqueueold" in json.dumps(rule)
    boards = {path.name: path.read_text(encoding="utf-8") for path in (signals.ROOT / "deploy/grafana/dashboards").glob("*.json")}
    found = {}
    for one in objects.all("ConfigMap"):
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        [(name, content)] = one["data"].items()
        assert len(content) < 1 << 19, name
        found[name.removeprefix("vmafx-")] = json.loads(content)
    assert found == {name: json.loads(text) for name, text in boards.items()}
    assert not render({"monitoring": {"enabled": True, "rules": False, "dashboards": {"enabled": False}}}).all("PrometheusRule", "ConfigMap")


@case
def keda_scales_nodes_by_what_the_controller_measures():
    objects = render(both(KEDA, {"nodes": {"slots": 4}}))
    assert "replicas" not in objects.get("Deployment", "vmafx-node")["spec"], "Helm and KEDA would fight about it"
    assert render().get("Deployment", "vmafx-node")["spec"]["replicas"] == 2
    scaled = objects.get("ScaledObject", "vmafx-node")["spec"]
    assert scaled["scaleTargetRef"]["name"] == "vmafx-node" and (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 40)
    [trigger] = scaled["triggers"]
    assert trigger["metadata"]["threshold"] == "4" and trigger["metadata"]["serverAddress"] == "http://prometheus.monitoring:9090"
    metrics, closed = signals.table()
    assert not signals.wrong_with(trigger["metadata"]["query"], metrics, closed) and signals.selectors(trigger["metadata"]["query"])
    refused("keda.prometheusUrl", {"keda": {"enabled": True}})
    refused("nodes.enabled is false", both(KEDA, {"nodes": {"enabled": False}}))


@case
def images_are_named_by_tag_or_digest():
    digest = "sha256:" + "a" * 64
    assert main_container(render().pod("node"))["image"] == "vmafx:0.1.0"
    assert main_container(render({"image": {"repository": "mirror:5000/x", "tag": "edge"}}).pod("node"))["image"] == "mirror:5000/x:edge"
    objects = render({"image": {"digest": digest, "pullSecrets": [{"name": "pull"}]}})
    assert {one["image"] for one in containers(objects.pod("node"))} == {f"vmafx@{digest}"}
    assert all(one["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}] for one in objects.all(*WORKLOADS))


@case
def large_numbers_stay_numbers():
    env = variables(main_container(render({"controller": {"settings": {"VMAFX_QUEUE_MAX": 100000000, "VMAFX_LEASE": "45s"}}}).pod("controller")))
    assert env["VMAFX_QUEUE_MAX"] == "100000000" and env["VMAFX_LEASE"] == "45s", env


@case
def what_needs_a_controller_says_so_when_there_is_none():
    refused("where the controller is", {"controller": {"enabled": False}})
    refused("where the controller is", {"controller": {"enabled": False}, "nodes": {"enabled": False}, "mcp": {"enabled": True}})


# ---- The schema ----

# Maps whose keys are the user's, or Kubernetes' own.
FREE = re.compile(r"(.*\.)?(settings|podAnnotations|podLabels|nodeSelector|affinity|labels|annotations|resourceAttributes|exporters|config|"
                  r"requests|limits|debug)")


def levels(node, path=()):
    """Every map of the values that has keys of its own."""
    if isinstance(node, dict):
        if not FREE.fullmatch(".".join(path)):
            yield path
        for key, value in node.items():
            yield from levels(value, (*path, key))


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


@case
def a_typing_error_at_any_level_is_refused():
    [values] = signals.yaml_of((CHART / "values.yaml").read_text(encoding="utf-8"))
    seen = list(levels(values))
    assert len(seen) > 30, seen
    for path in seen:
        refused("Additional property tpyo is not allowed", nested((*path, "tpyo"), 1))
    for path in (("nodes", "settings", "VMAFX_NODE_THREAD"), ("nodes", "affinity", "nodeAfinity"), ("otelCollector", "config", "recievers"),
                 ("controller", "settings", "VMAFX_NODE_THREADS"), ("nodes", "settings", "VMAFX_INSECURE_LISTEN")):
        refused(f"Additional property {path[-1]} is not allowed", nested(path, {} if "settings" not in path else "1"))
    for path, item in ((("media", "volumeMounts"), {"name": "m", "mountPath": "/m", "readonly": True}),
                       (("media", "volumes"), {"name": "m", "pvc": {}}), (("nodes", "tolerations"), {"effct": "NoSchedule"}),
                       (("networkPolicy", "clients"), {"namespace": {}}), (("networkPolicy", "mediaEgress"), {"port": 443}),
                       (("nodes", "env"), {"name": "A", "vale": "b"}), (("otelCollector", "secretEnv"), {"name": "A", "secret": "b", "key": "c"})):
        refused("is not allowed", nested(path, [item]))


@case
def a_value_of_the_wrong_kind_is_refused():
    for path, value in ((("nodes", "replicas"), "two"), (("nodes", "replicas"), -1), (("nodes", "memory"), "3 GB"),
                        (("certificates", "source"), "vault"), (("certificates", "days"), 0), (("image", "digest"), "sha256:abc"),
                        (("image", "pullPolicy"), "always"), (("telemetry", "protocol"), "udp"), (("controller", "storage", "size"), "much"),
                        (("media", "roots"), ["media"]), (("media", "roots"), ["/a:/b"]), (("nodes", "controller"), "example"),
                        (("monitoring", "docsUrl"), "docs"), (("fullnameOverride",), "v" * 41), (("server", "service", "type"), "Balancer"),
                        (("nodes", "resources", "limits", "memory"), "lots"), (("nodes", "resources", "limits", "memori"), "1Gi"),
                        (("podDisruptionBudget", "maxUnavailable"), "101%"), (("nodes", "seccompProfile", "type"), "runtime/default"),
                        (("otelCollector", "exporters"), ["otlp"]), (("keda", "prometheusUrl"), "prometheus:9090")):
        refused("don't meet the specifications of the schema", nested(path, value))


@case
def the_schema_knows_every_value_and_every_setting():
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    [values] = signals.yaml_of((CHART / "values.yaml").read_text(encoding="utf-8"))

    def compare(node, known, path):
        if "properties" in known and isinstance(node, dict) and not FREE.fullmatch(path):
            assert set(node) == set(known["properties"]) - {"global"} or path in ("nodes.seccompProfile", "server.seccompProfile", "nodes.resources",
                                                                                  "server.resources", "controller.resources", "mcp.resources",
                                                                                  "otelCollector.resources", "models.volume"), \
                (path, set(node) ^ set(known["properties"]))
            for key, value in node.items():
                compare(value, known["properties"][key], f"{path}.{key}" if path else key)

    compare(values, schema, "")
    for component, part in (("controller", "controller"), ("node", "nodes"), ("server", "server"), ("mcp", "mcp")):
        known = set(schema["properties"][part]["properties"]["settings"]["properties"])
        own = {name for name in variables(main_container(render(both(ALL, MEDIA, {"openMetrics": True})).pod(component))) if name.startswith("VMAFX_")}
        own |= {"VMAFX_INSECURE_LISTEN"} | ({"VMAFX_SERVER"} if component == "mcp" else set())
        assert known == settings(component) - own, f"{part}.settings of values.schema.json: {sorted(known ^ (settings(component) - own))}"


# ---- What people read ----

@case
def the_notes_say_what_is_missing():
    _, chart, _ = place()
    copy_of = chart.parent / "notes"
    shutil.copytree(chart, copy_of)
    notes = (copy_of / "templates/NOTES.txt").read_text(encoding="utf-8")
    (copy_of / "templates/NOTES.txt").unlink()
    (copy_of / "templates/notes.yaml").write_text('{{ define "notes" }}' + notes + '{{ end }}\nkind: Notes\ntext: {{ include "notes" . | toJson }}\n', encoding="utf-8")
    for path in copy_of.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)

    def notes_of(values):
        got = helm("template", "--namespace", "video", "--kube-version", "1.30.0", "--show-only", "templates/notes.yaml", chart=copy_of, values=values)
        assert got.returncode == 0, got.stderr
        return signals.yaml_of(got.stdout)[0]["text"]

    text = notes_of({})
    for words in ("statefulset/vmafx-controller", "deployment/vmafx-node", 'go-template="{{index .data \\"$f\\" | base64decode}}"',
                  "get secret vmafx-authority", "may read no video yet", "networkPolicy.clients", "Traces and logs go nowhere"):
        assert words in text, (words, text)
    assert "WARNING" not in text and "WARNING" in notes_of(NONE)
    quiet = notes_of(both(MEDIA, PEERS, SIDECAR))
    for words in ("may read no video", "Nobody outside", "go nowhere"):
        assert words not in quiet, (words, quiet)


main()
