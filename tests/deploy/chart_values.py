# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Values that tests render the chart with: parts, and what is made of them."""
import copy

ALL = {"server": {"enabled": True}, "mcp": {"enabled": True}}
MONITORED = {"monitoring": {"enabled": True, "labels": {"release": "prometheus"}}}
MEDIA = {"media": {"roots": ["/media", "/archive"],
                   "volumes": [{"name": "media", "persistentVolumeClaim": {"claimName": "media", "readOnly": True}}],
                   "volumeMounts": [{"name": "media", "mountPath": "/media", "readOnly": True}]},
         "models": {"volume": {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}}}
PEERS = {"networkPolicy": {"clients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "encoders"}}}],
                           "monitoring": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
                           "mediaEgress": [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 443}]}],
                           "telemetryEgress": [{"ports": [{"port": 4317}]}]}}
SIDECAR = {"otelCollector": {"enabled": True, "exporters": {"otlp": {"endpoint": "gateway:4317",
                                                                      "headers": {"authorization": "${env:OTLP_AUTHORIZATION}"}}},
                             "secretEnv": [{"name": "OTLP_AUTHORIZATION", "secretName": "otlp", "key": "authorization"}]}}
KEDA = {"keda": {"enabled": True, "prometheusUrl": "http://prometheus.monitoring:9090", "minReplicas": 0, "maxReplicas": 40}}


def both(*parts):
    """Values that are all of these."""
    merged = {}
    for part in copy.deepcopy(parts):
        for key, value in part.items():
            merged[key] = both(merged[key], value) if isinstance(value, dict) and key in merged else value
    return merged


def source(name, **more):
    return {"certificates": {"source": name, **more}}


SECRET = source("secret", authoritySecret="authority")
ISSUER = source("certManager", issuer={"name": "vmafx", "kind": "ClusterIssuer"})
NONE = source("none")
MATRIX = {
    "defaults": {},
    "everything, certificates by the Job": both(ALL, MONITORED, MEDIA, PEERS, SIDECAR, KEDA),
    "everything, certificates of an authority that is there": both(ALL, MONITORED, MEDIA, PEERS, SIDECAR, KEDA, SECRET, {"openMetrics": True}),
    "everything, certificates by cert-manager": both(ALL, MONITORED, MEDIA, PEERS, SIDECAR, KEDA, ISSUER,
                                                     {"tokens": {"secret": "tokens"}, "monitoring": {"tokenSecret": {"name": "reader"}}}),
    "everything, no certificates": both(ALL, MONITORED, MEDIA, PEERS, NONE),
    "a collector elsewhere": {"telemetry": {"endpoint": "https://otlp.example:4318", "protocol": "http/protobuf",
                                            "headersSecret": {"name": "otlp"}, "sampler": "parentbased_traceidratio",
                                            "samplerArgument": "0.1", "resourceAttributes": {"k8s.cluster.name": "a, b"}}},
    "only nodes, for a controller elsewhere": {"controller": {"enabled": False}, "nodes": {"controller": "fleet.example:7801"}},
    "only a server": {"controller": {"enabled": False}, "nodes": {"enabled": False}, "server": {"enabled": True}},
    "an existing claim, GPUs, a profile": {"controller": {"storage": {"existingClaim": "old"}},
                                           "nodes": {"gpus": {"count": 1}, "hostUsers": False,
                                                     "seccompProfile": {"type": "Localhost", "localhostProfile": "vmafx.json"},
                                                     "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
                                                     "nodeSelector": {"gpu": "yes"}, "env": [{"name": "TZ", "value": "UTC"}]}},
    "no policies": {"networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}},
    "a long name": {"fullnameOverride": "v" * 40},
}
