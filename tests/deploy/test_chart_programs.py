# SPDX-License-Identifier: BSD-2-Clause-Patent
"""What the chart tells containers to run, run here with our programs: the Job that makes an authority before a stand-in of
Kubernetes' API, the containers that issue certificates, and then controller and node with the settings they get.

usage: test_chart_programs.py VMAFX [CASE…]
"""
import base64
import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import signals
from chart import main_container, render, variables
from fleet import DEADLINE_S, FOLDER, Process, program
from harness import PROGRAM, case, main, need, need_models, pair

SECRETS = "/api/v1/namespaces/video/secrets"


class Api(http.server.BaseHTTPRequestHandler):
    """Secrets of one namespace, for whoever has the token."""

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def allowed(self):
        if self.headers.get("Authorization") == "Bearer account-token" and self.server.status is None:
            return True
        self.answer(self.server.status or 401, {"message": "no"})
        return False

    def do_GET(self):
        if self.allowed():
            found = self.server.secrets.get(self.path.removeprefix(SECRETS + "/"))
            self.answer(200 if found else 404, found or {"message": "not found"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.allowed():
            secret = json.loads(body)
            assert self.path == SECRETS and secret["kind"] == "Secret", (self.path, secret)
            name = secret["metadata"]["name"]
            if name in self.server.secrets:
                return self.answer(409, {"message": "already exists"})
            self.server.secrets[name] = secret
            self.answer(201, secret)
        return None

    def log_message(self, *_):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.secrets, server.status = {}, None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def data_of(server, name):
    return {key: base64.b64decode(value) for key, value in server.secrets[name]["data"].items()}


def shell(container, folders, env):
    """Runs a container's script, with folders of ours in the place of its mounts; our programs come first."""
    script = container["args"][0]
    for inside, outside in folders.items():
        script = re.sub(rf"(?<![\w.-]){inside}(?=[/\s\"'}}]|$)", outside, script)
    shell_of, options = container["command"]
    return subprocess.run([shell_of, options, script], capture_output=True, text=True, check=False, timeout=120,
                          env={"PATH": f"{FOLDER}:{os.environ['PATH']}", "HOME": os.getcwd(), **env})


def job_container(objects):
    return objects.get("Job", "vmafx-certificates")["spec"]["template"]["spec"]["containers"][0]


def run_job(server, values=None):
    need("curl", "curl")
    os.makedirs("account", exist_ok=True)
    shutil.rmtree("tmp", ignore_errors=True)
    os.mkdir("tmp")
    for name, text in (("token", "account-token"), ("ca.crt", "")):
        with open(f"account/{name}", "w", encoding="utf-8") as f:
            f.write(text)
    container = job_container(render(values))
    env = {**variables(container), "API": f"http://127.0.0.1:{server.server_port}", "ACCOUNT": os.path.abspath("account")}
    return shell(container, {"/tmp": os.path.abspath("tmp")}, env)


@case
def the_job_makes_an_authority_and_a_token_once():
    server = serve()
    got = run_job(server)
    assert got.returncode == 0, got.stdout + got.stderr
    assert sorted(server.secrets) == ["vmafx-authority", "vmafx-metrics-token", "vmafx-tokens"], sorted(server.secrets)
    authority = data_of(server, "vmafx-authority")
    assert b"BEGIN CERTIFICATE" in authority["ca.crt"] and b"PRIVATE KEY" in authority["ca.key"]
    token = data_of(server, "vmafx-metrics-token")["token"].decode()
    assert re.fullmatch(r"vmafx_[A-Za-z0-9_-]{43}", token), "not the token alone"
    tokens = data_of(server, "vmafx-tokens")["tokens"].decode()
    assert re.search(r"^sha256:[0-9a-f]{64} reader prometheus", tokens, re.M) and token not in tokens, tokens
    for text in (got.stdout, got.stderr):
        assert token not in text and "PRIVATE KEY" not in text and "account-token" not in text, "a secret is in the log"

    before = json.dumps(server.secrets)
    got = run_job(server)
    assert got.returncode == 0 and json.dumps(server.secrets) == before, got.stderr
    assert got.stderr.count("is there") == 2, got.stderr


@case
def the_job_leaves_tokens_to_those_who_bring_their_own():
    server = serve()
    got = run_job(server, {"tokens": {"secret": "mine"}})
    assert got.returncode == 0 and sorted(server.secrets) == ["vmafx-authority"], (got.stderr, sorted(server.secrets))


@case
def the_job_says_why_it_could_not():
    for status in (401, 403, 500):
        server = serve()
        server.status = status
        got = run_job(server)
        assert got.returncode == 1 and not server.secrets, got
        assert f"cannot look for the Secret vmafx-authority: HTTP {status}" in got.stderr, got.stderr


def authority():
    """A folder as the Secret of an authority is mounted."""
    subprocess.run([PROGRAM, "certs", "init", "--directory", "authority"], check=True, capture_output=True)
    return os.path.abspath("authority")


def issue(spec, pod, root, at):
    """Runs the container that issues; the folder that the program sees as /certificates."""
    [container] = [one for one in spec["initContainers"] if one["name"] == "certificates"]
    folders = {"/authority": root, "/issuing": os.path.abspath(f"{at}/issuing"), "/certificates": os.path.abspath(f"{at}/certificates")}
    for folder in list(folders.values())[1:]:
        os.makedirs(folder)
    got = shell(container, folders, {"POD_NAME": pod})
    assert got.returncode == 0, got.stdout + got.stderr
    assert os.listdir(folders["/issuing"]) == [], "the authority's key was left behind"
    for kind in ("grpc", "http"):
        assert sorted(os.listdir(f"{folders['/certificates']}/{kind}")) == ["ca.crt", "tls.crt", "tls.key"], kind
        assert os.stat(f"{folders['/certificates']}/{kind}/tls.key").st_mode & 0o777 == 0o600
    return folders["/certificates"]


def start(spec, pod, at, certificates, tokens, changes):
    """The program of a pod with the settings that the chart gives it, on ports and folders of ours."""
    container = main_container(spec)
    env = {"PATH": os.environ["PATH"], "VMAFX_MODEL_PATH": need_models(), "POD_NAME": pod, "POD_NAMESPACE": "video", "POD_UID": "uid",
           "K8S_NODE_NAME": "machine"}
    os.makedirs(f"{at}/tmp", exist_ok=True)
    os.makedirs(f"{at}/lib", exist_ok=True)
    for name, value in variables(container).items():
        if isinstance(value, str):
            value = re.sub(r"\$\((\w+)\)", lambda match: env[match[1]], value)
            for inside, outside in (("/certificates", certificates), ("/tokens", os.path.dirname(tokens)), ("/tmp", f"{at}/tmp"),
                                    ("/var/lib/vmafx", f"{at}/lib")):
                if (value == inside or value.startswith(inside + "/")) and not name.endswith("_ROOTS"):
                    value = os.path.abspath(outside + value[len(inside):])
                    break
            env[name] = value
    env |= changes
    return Process(at, [program(container["args"][0])], env, os.path.abspath(f"{at}.log")), env


def https(url, ca, name, token=None):
    """The status of a request whose other end has to have this name."""
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False  # it is reached by its address here; the name is compared below
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=DEADLINE_S, context=context) as answer:
        certificate = answer.fp.raw._sock.getpeercert()
        assert ("DNS", name) in certificate["subjectAltName"], certificate
        return answer.status, answer.read().decode()


@case
def programs_find_each_other_with_what_the_chart_gives_them():
    need_models()
    reference, distorted = (os.path.abspath(path) for path in pair())
    objects = render({"media": {"roots": [os.getcwd()]}})
    root = authority()
    os.mkdir("tokens")
    token = subprocess.run([PROGRAM, "tokens", "new", "prometheus", "--role", "reader", "--file", "tokens/tokens"], check=True,
                           capture_output=True, text=True)
    processes = []
    try:
        spec = objects.pod("controller")
        certificates = issue(spec, "vmafx-controller-0", root, "controller")
        controller, _ = start(spec, "vmafx-controller-0", "controller", certificates, "tokens/tokens",
                              {"VMAFX_CONTROLLER_GRPC": "0.0.0.0:0", "VMAFX_CONTROLLER_HTTP": "0.0.0.0:0"})
        processes.append(controller)
        grpc = int(controller.wait_line(r'"ready".*?server\.port":(\d+)').group(1))
        http_port = int(controller.wait_line(r'"HTTP ready".*?server\.port":(\d+)').group(1))

        spec = objects.pod("node")
        pod = "vmafx-node-5d4f9c7b8-x2x4z"
        certificates = issue(spec, pod, root, "node")
        # Its Service's name is not known here; its certificate has localhost too.
        node, env = start(spec, pod, "node", certificates, "tokens/tokens",
                          {"VMAFX_CONTROLLER": f"localhost:{grpc}", "VMAFX_NODE_HTTP": "127.0.0.1:0"})
        processes.append(node)
        node.wait_line("connected")
        assert env["VMAFX_NODE_NAME"] == pod

        # Whoever follows the notes can submit.
        subprocess.run([PROGRAM, "certs", "client", "me", "--role", "admin", "--directory", root], check=True, capture_output=True)
        me = {**os.environ, "VMAFX_CONTROLLER": f"localhost:{grpc}", "VMAFX_TLS_CERT": f"{root}/client-me.crt",
              "VMAFX_TLS_KEY": f"{root}/client-me.key", "VMAFX_TLS_CA": f"{root}/ca.crt"}
        got = subprocess.run([PROGRAM, "submit", "--reference", reference, "--distorted", distorted, "--wait"], env=me,
                             capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert got.returncode == 0 and "succeeded" in got.stdout, (got, node.lines())
        nodes = subprocess.run([PROGRAM, "nodes"], env=me, capture_output=True, text=True, timeout=DEADLINE_S, check=False).stdout
        assert pod in nodes, nodes

        url, ca = f"https://127.0.0.1:{http_port}", f"{root}/ca.crt"
        assert https(f"{url}/readyz", ca, "vmafx-controller.video.svc.cluster.local")[0] == 200, "a probe of the kubelet has no token"
        status, page = https(f"{url}/metrics", ca, "vmafx-controller", token.stdout.strip())
        assert status == 200 and "vmafx_jobs_completed_total" in page
        assert f'k8s_pod_name="vmafx-controller-0"' in page and 'k8s_node_name="machine"' in page, page[:2000]
        try:
            https(f"{url}/metrics", ca, "vmafx-controller")
        except urllib.error.HTTPError as error:
            assert error.code == 401, error
        else:
            raise AssertionError("/metrics without a token")

        node.process.terminate()
        assert node.process.wait(DEADLINE_S) == 0, node.lines()
    finally:
        for process in processes:
            process.kill()


@case
def a_pod_cannot_be_another_node_than_its_certificate_says():
    need_models()
    objects = render()
    root = authority()
    os.mkdir("tokens")
    with open("tokens/tokens", "w", encoding="utf-8"):
        pass
    processes = []
    try:
        certificates = issue(objects.pod("controller"), "vmafx-controller-0", root, "controller")
        controller, _ = start(objects.pod("controller"), "vmafx-controller-0", "controller", certificates, "tokens/tokens",
                              {"VMAFX_CONTROLLER_GRPC": "0.0.0.0:0", "VMAFX_CONTROLLER_HTTP": ""})
        processes.append(controller)
        grpc = int(controller.wait_line(r'"ready".*?server\.port":(\d+)').group(1))
        certificates = issue(objects.pod("node"), "vmafx-node-a", root, "node")
        node, _ = start(objects.pod("node"), "vmafx-node-b", "node", certificates, "tokens/tokens",
                        {"VMAFX_CONTROLLER": f"localhost:{grpc}", "VMAFX_NODE_HTTP": ""})
        processes.append(node)
        end = time.monotonic() + DEADLINE_S
        while "vmafx-node-a" not in node.lines() and time.monotonic() < end and node.process.poll() is None:
            time.sleep(0.05)
        assert "may not be the node" in node.lines(), node.lines()
    finally:
        for process in processes:
            process.kill()


main()
