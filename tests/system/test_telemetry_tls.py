# SPDX-License-Identifier: BSD-2-Clause-Patent
"""OTLP/HTTP over TLS: what is trusted, what is not, and a client certificate. The certificates are made here."""
import ssl
import subprocess
import threading

from harness import case, expect, main, need, run
from otlp import Receiver, spans_of

WORK = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_TIMEOUT": "5000"}


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def authority(name):
    """name.pem and name.key, signed by themselves."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def certificate(name, by, *, host):
    """name.pem and name.key, for a host (an IP address or a name), signed by an authority."""
    with open(f"{name}.ext", "w", encoding="ascii") as f:
        f.write(f"subjectAltName={host}\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout",
            f"{name}.key", "-out", f"{name}.csr")
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "2",
            "-extfile", f"{name}.ext", "-out", f"{name}.pem")


class TlsReceiver(Receiver):
    """A Receiver behind TLS; with `clients` it takes only those whose certificate that authority signed."""

    def __init__(self, name, clients=None, lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.MAXIMUM_SUPPORTED):
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = lowest, highest
        context.load_cert_chain(f"{name}.pem", f"{name}.key")
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(f"{clients}.pem")
        self.plain, self.server = self.server, None
        self.plain.shutdown()
        self.plain.socket = context.wrap_socket(self.plain.socket, server_side=True, do_handshake_on_connect=False)
        self.plain.handle_error = lambda *_: None  # a client that refuses the handshake is what some cases want
        self.server = self.plain
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def environment(self, **more):
        return super().environment(**{"OTEL_EXPORTER_OTLP_ENDPOINT": f"https://127.0.0.1:{self.server.server_port}", **more})


def names_of(receiver):
    return [span[5][0] for _, body in receiver.bodies.get("/v1/traces", []) for span in spans_of(body)[1]]


def export(receiver, **more):
    return expect(run(env=receiver.environment(**WORK, **more)), 0)


@case
def a_certificate_of_an_authority_of_ones_own_is_trusted():
    need("openssl", "openssl")
    authority("ca")
    certificate("server", "ca", host="IP:127.0.0.1")
    receiver = TlsReceiver("server")
    process = export(receiver, OTEL_EXPORTER_OTLP_CERTIFICATE="ca.pem")
    assert process.stderr == "" and b"make thumbnails" in names_of(receiver), process.stderr


@case
def what_nobody_vouches_for_gets_nothing():
    need("openssl", "openssl")
    for name in ("ca", "other"):
        authority(name)
    certificate("server", "ca", host="IP:127.0.0.1")
    certificate("elsewhere", "ca", host="DNS:elsewhere.example")
    for why, server, trusted in (("another authority", "server", "other.pem"), ("another host", "elsewhere", "ca.pem"),
                                 ("the system's store does not know it", "server", None)):
        receiver = TlsReceiver(server)
        process = export(receiver, **({"OTEL_EXPORTER_OTLP_CERTIFICATE": trusted} if trusted else {}))
        assert "gave up on a batch" in process.stderr, f"{why}: {process.stderr}"
        assert not names_of(receiver), f"{why}: it was sent"


@case
def a_client_certificate_opens_what_asks_for_one():
    need("openssl", "openssl")
    for name in ("ca", "clients"):
        authority(name)
    certificate("server", "ca", host="IP:127.0.0.1")
    certificate("client", "clients", host="DNS:client.example")
    receiver = TlsReceiver("server", clients="clients")
    trusted = {"OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem"}
    process = export(receiver, **trusted)
    assert "gave up on a batch" in process.stderr and not names_of(receiver), process.stderr
    process = export(receiver, **trusted, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="client.pem",
                     OTEL_EXPORTER_OTLP_CLIENT_KEY="client.key")
    assert process.stderr == "" and b"make thumbnails" in names_of(receiver), process.stderr


@case
def a_file_that_is_none_is_said_at_the_start():
    need("openssl", "openssl")
    authority("ca")
    certificate("server", "ca", host="IP:127.0.0.1")
    receiver = TlsReceiver("server")
    process = export(receiver, OTEL_EXPORTER_OTLP_CERTIFICATE="missing.pem")
    assert "missing.pem" in process.stderr and not names_of(receiver), process.stderr


main()
