# SPDX-License-Identifier: BSD-2-Clause-Patent
"""vmafx-mcp as a process, and clients for it: lines over pipes, posts over HTTP."""
import http.client
import json
import os
import queue
import re
import ssl
import subprocess
import threading
import time

from fleet import DEADLINE_S, Process, program

CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
          "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}}


class Mcp:
    """with Mcp() as mcp: …; over standard input and output, in the current folder."""

    def __init__(self, *arguments, env=None, initialize=True):
        self.env = {**os.environ, "OTEL_SDK_DISABLED": "true", **(env or {})}
        self.arguments = [program("vmafx-mcp"), *map(str, arguments)]
        self.initialize_first, self.ids, self.answers, self.others = initialize, 0, {}, []

    def __enter__(self):
        with open("mcp.log", "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            env=self.env)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        if self.initialize_first:
            self.request("initialize", CLIENT)
            self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def send(self, message):
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def next(self):
        """The next line that comes."""
        return self.lines.get(timeout=DEADLINE_S)

    def begin(self, method, params=None):
        self.ids += 1
        self.send({"jsonrpc": "2.0", "id": self.ids, "method": method, **({"params": params} if params is not None else {})})
        return self.ids

    def answer(self, request):
        """The answer to a request; what else comes is kept in others."""
        while request not in self.answers:
            message = self.next()
            assert message is not None, "the program has ended"
            if "id" in message and "method" not in message:
                self.answers[message["id"]] = message
            else:
                self.others.append(message)
        return self.answers.pop(request)

    def request(self, method, params=None):
        answer = self.answer(self.begin(method, params))
        assert "result" in answer, f"{method}: {answer}"
        return answer["result"]

    def error(self, method, params=None):
        answer = self.answer(self.begin(method, params))
        assert "error" in answer, f"{method}: {answer}"
        return answer["error"]

    def call(self, tool, _meta=None, **arguments):
        return self.request("tools/call", {"name": tool, "arguments": arguments, **({"_meta": _meta} if _meta else {})})

    def ok(self, tool, _meta=None, **arguments):
        got = self.call(tool, _meta, **arguments)
        assert not got.get("isError"), f"{tool}: {got}"
        return got["structuredContent"]

    def refused(self, tool, *words, **arguments):
        got = self.call(tool, **arguments)
        assert got.get("isError"), f"{tool} was not refused: {got}"
        text = got["content"][0]["text"]
        for word in words:
            assert word in text, f"no {word!r} in {text!r}"
        return text

    def finish(self):
        """The end of the input; the exit code."""
        self.process.stdin.close()
        code = self.process.wait(DEADLINE_S)
        self.process.stdin = open(os.devnull, "wb")
        return code


class McpHttp:
    """with McpHttp("--roots", "/") as mcp: …; over HTTP."""

    def __init__(self, *arguments, env=None, ca=None):
        """ca: the file of who has signed the certificate that the arguments name."""
        self.env = {**os.environ, "OTEL_SDK_DISABLED": "true", **(env or {})}
        self.arguments = [program("vmafx-mcp"), "--http", "127.0.0.1:0", *map(str, arguments)]
        self.tls = ssl.create_default_context(cafile=ca) if ca else None

    def __enter__(self):
        self.process = Process("mcp", self.arguments, self.env, os.path.abspath("mcp-http.log"))
        self.port = int(self.process.wait_line(r"serving MCP over HTTP.*server\.port=(\d+)").group(1))
        return self

    def __exit__(self, *_):
        self.process.kill()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/mcp"

    def begin(self, method, body, **headers):
        """A connection with the request sent, and nothing read."""
        where = ("127.0.0.1", self.port)
        connection = http.client.HTTPSConnection(*where, timeout=DEADLINE_S, context=self.tls) if self.tls else \
            http.client.HTTPConnection(*where, timeout=DEADLINE_S)
        named = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                 **{name.replace("_", "-"): value for name, value in headers.items() if value is not None}}
        connection.request(method, "/mcp", body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode(), named)
        return connection

    def send(self, method, body, **headers):
        """(status, headers, body) of a request to /mcp."""
        connection = self.begin(method, body, **headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, answer.headers, text

    def post(self, message, **headers):
        status, got, text = self.send("POST", message, **headers)
        return status, got, json.loads(text) if text else None

    def modern(self, method, params=None, **headers):
        """A request of the newer era, with the headers that it has to have."""
        params = params or {}
        name = params.get("name") or params.get("uri")
        own = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": method, "Mcp_Name": name, **headers}
        return self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": MODERN, **params}}, **own)


def scorers_of(pid):
    """Processes below a process whose program is vmafx-scorer."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as f:
                match = re.match(r"\d+ \((.*)\) \S+ (\d+)", f.read())
        except OSError:
            continue
        if match and match[1].startswith("vmafx-scorer") and int(match[2]) == pid:
            found.append(int(entry))
    return found


def wait_until(condition, what):
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)
