# SPDX-License-Identifier: BSD-2-Clause-Patent
"""`vmafx certs`, and what OpenSSL's own tools make of its certificates."""
import json
import os
import re
import stat
import subprocess
import threading

from harness import case, expect, main, need, run

ENV = {"VMAFX_CERTS": "certs"}


def certs(code, *arguments, words=(), env=None):
    return expect(run("certs", *arguments, env={**ENV, **(env or {})}), code, *words)


def openssl(*arguments, code=0, stdin=""):
    need("openssl", "openssl")
    got = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert (got.returncode == 0) == (code == 0), got
    return got.stdout + got.stderr


def make_all():
    certs(0, "init")
    certs(0, "server", "controller", "--host", "localhost", "--host", "127.0.0.1")
    certs(0, "node", "node-1")
    certs(0, "client", "alice", "--role", "writer")


def mode(name):
    return stat.S_IMODE(os.stat(os.path.join("certs", name)).st_mode)


def read(name):
    with open(os.path.join("certs", name), encoding="ascii") as f:
        return f.read()


@case
def a_chain_that_openssl_verifies_for_its_purpose_and_no_other():
    make_all()
    verify = ("verify", "-x509_strict", "-CAfile", "certs/ca.crt")
    openssl(*verify, "-purpose", "sslserver", "-verify_hostname", "localhost", "certs/server-controller.crt")
    openssl(*verify, "-purpose", "sslserver", "-verify_ip", "127.0.0.1", "certs/server-controller.crt")
    openssl(*verify, "-purpose", "sslserver", "-verify_hostname", "other", "certs/server-controller.crt", code=1)
    for name in ("node-node-1", "client-alice"):
        openssl(*verify, "-purpose", "sslclient", f"certs/{name}.crt")
        openssl(*verify, "-purpose", "sslserver", f"certs/{name}.crt", code=1)
    openssl("verify", "-CAfile", "certs/node-node-1.crt", "certs/client-alice.crt", code=1)
    text = openssl("x509", "-in", "certs/node-node-1.crt", "-noout", "-text")
    for word in ("URI:vmafx://node/node-1", "prime256v1", "ecdsa-with-SHA256", "CA:FALSE", "Digital Signature",
                 "TLS Web Client Authentication"):
        assert word in text, (word, text)
    assert "CA:TRUE, pathlen:0" in openssl("x509", "-in", "certs/ca.crt", "-noout", "-text")


@case
def keys_and_folder_are_private_and_nothing_else_is_left_behind():
    make_all()
    assert stat.S_IMODE(os.stat("certs").st_mode) == 0o700
    names = sorted(os.listdir("certs"))
    assert names == sorted(f"{n}.{e}" for n in ("ca", "server-controller", "node-node-1", "client-alice")
                           for e in ("crt", "key")), names
    for name in names:
        assert mode(name) == (0o600 if name.endswith(".key") else 0o644), name


@case
def nothing_is_overwritten_without_being_told():
    make_all()
    before = {name: read(name) for name in os.listdir("certs")}
    certs(6, "init", words=["certs/ca.crt", "--renew", "--force"])
    certs(6, "node", "node-1", words=["--renew"])
    certs(6, "client", "alice", "--role", "admin")
    assert before == {name: read(name) for name in os.listdir("certs")}
    os.remove("certs/node-node-1.crt")  # the key alone is kept too
    certs(6, "node", "node-1", words=["node-node-1.key"])


@case
def renewing_keeps_the_key_and_forcing_does_not():
    make_all()
    key, cert, ca_key = read("node-node-1.key"), read("node-node-1.crt"), read("ca.key")
    certs(0, "node", "node-1", "--renew", "--days", "20", words=["vmafx://node/node-1", "20 days left"])
    assert read("node-node-1.key") == key and read("node-node-1.crt") != cert
    certs(0, "client", "alice", "--renew", words=["vmafx://writer/alice"])
    certs(0, "server", "controller", "--renew", words=["DNS:localhost, IP:127.0.0.1"])
    certs(0, "server", "controller", "--renew", "--host", "new.example", words=["DNS:new.example"])
    certs(0, "init", "--renew")
    assert read("ca.key") == ca_key
    for name in ("node-node-1", "client-alice", "server-controller"):
        openssl("verify", "-CAfile", "certs/ca.crt", f"certs/{name}.crt")
    certs(0, "node", "node-1", "--force")
    assert read("node-node-1.key") != key and mode("node-node-1.key") == 0o600
    certs(0, "init", "--force")
    openssl("verify", "-CAfile", "certs/ca.crt", "certs/node-node-1.crt", code=1)
    certs(2, "node", "node-1", "--force", "--renew", words=["one of them"])
    certs(3, "node", "node-2", "--renew", words=["node-node-2.crt"])


@case
def server_and_client_shake_hands_and_strangers_do_not():
    make_all()
    certs(0, "init", "-d", "others")
    certs(0, "client", "eve", "--role", "admin", "-d", "others")
    server = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "certs/server-controller.crt",
                               "-key", "certs/server-controller.key", "-CAfile", "certs/ca.crt", "-Verify", "1",
                               "-verify_return_error", "-www"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.PIPE)
    try:
        port = None
        for line in server.stdout:
            if found := re.match(r"ACCEPT 127\.0\.0\.1:(\d+)", line):
                port = found[1]
                break
        assert port
        threading.Thread(target=server.stdout.read, daemon=True).start()
        def shake(folder, name, code):
            own = ("-cert", f"{folder}/{name}.crt", "-key", f"{folder}/{name}.key") if name else ()
            # the request makes a refused TLS 1.3 client wait for the server's word
            got = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", "certs/ca.crt",
                                  "-verify_return_error", "-verify_ip", "127.0.0.1", "-ign_eof", *own],
                                 input="GET / HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=60, check=False)
            assert ("HTTP/1.0 200" in got.stdout) == (code == 0), (name, got)
        shake("certs", "client-alice", 0)
        shake("certs", "node-node-1", 0)
        shake("others", "client-eve", 1)
        shake("", None, 1)
        shake("certs", "server-controller", 1)  # a server's is no client's
    finally:
        server.kill()
        server.wait()


@case
def show_tells_what_is_there_and_fails_for_what_has_expired():
    certs(3, "show", words=["certs init"])
    make_all()
    out = certs(0, "show", words=["URI:vmafx://writer/alice", "role     node",
                                  "(this is an authority)"]).stdout
    for whole in (3650, 365):  # the first second may have passed
        assert f"{whole} days left" in out or f"{whole - 1} days left" in out, out
    assert out.index("certs/ca.crt") < out.index("certs/client-alice.crt")
    printed = openssl("x509", "-in", "certs/client-alice.crt", "-noout", "-fingerprint", "-sha256").split("=")[1].strip()
    assert printed in out
    listed = json.loads(certs(0, "show", "--json").stdout)
    assert listed["schema"] == "vmafx.certs" and len(listed["certificates"]) == 4
    alice = [c for c in listed["certificates"] if c["subject"] == "alice"][0]
    assert alice["role"] == "writer" and alice["sha256"] == printed and alice["expired"] is False
    os.mkdir("ca")
    with open("ca/index", "w", encoding="ascii"), open("ca/conf", "w", encoding="ascii") as conf:
        conf.write("[ca]\ndefault_ca=d\n[d]\ndatabase=ca/index\nnew_certs_dir=ca\nrand_serial=yes\ndefault_md=sha256\n"
                   "policy=p\n[p]\ncommonName=supplied\n")
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca/k", "-out", "ca/r",
            "-subj", "/CN=old")
    openssl("ca", "-batch", "-config", "ca/conf", "-selfsign", "-keyfile", "ca/k", "-in", "ca/r", "-out", "ca/old.crt",
            "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
    certs(3, "show", "ca/old.crt", words=["EXPIRED", "2021-01-01"])
    assert json.loads(certs(3, "show", "ca/old.crt", "--json").stdout)["certificates"][0]["expired"] is True
    certs(3, "show", "certs/ca.key", words=["holds no certificate"])
    certs(3, "show", "none.crt", words=["none.crt"])


@case
def an_expired_certificate_is_refused_by_openssl_and_made_valid_by_renewing():
    make_all()
    certs(0, "node", "short", "--days", "1")
    later = ("verify", "-attime", str(int(os.stat("certs/ca.crt").st_mtime) + 3 * 86400), "-CAfile", "certs/ca.crt")
    assert "expired" in openssl(*later, "certs/node-short.crt", code=1)
    certs(0, "node", "short", "--renew", "--days", "10")
    openssl(*later, "certs/node-short.crt")


@case
def mistakes_are_explained():
    certs(3, "node", "n", words=["certs init"])
    certs(0, "init")
    certs(2, words=["init, node, client, server or show"])
    certs(2, "nod", "n", words=["did you mean 'node'"])
    certs(2, "node", words=["needs a name"])
    certs(2, "node", "../n", words=["cannot be a name"])
    certs(2, "client", "c", words=["--role"])
    certs(2, "client", "c", "--role", "boss", words=["there is no role 'boss'"])
    certs(2, "client", "c", "--role", "node", words=["--role"])
    certs(2, "server", "s", words=["--host"])
    certs(2, "server", "s", "--host", "a b", words=["'a b'"])
    certs(2, "server", "s", "--host", "https://a", words=["no port, no scheme"])
    certs(2, "node", "n", "--role", "admin", words=["does not take --role"])
    certs(2, "node", "n", "--days", "0", words=["1 to 3650"])
    certs(2, "show", "--force", words=["does not take"])
    os.chmod("certs/ca.key", 0o644)
    certs(3, "node", "n", words=["chmod 600"])
    certs(6, "init", "-d", "/proc/nowhere", words=["/proc/nowhere"])
    assert sorted(os.listdir("certs")) == ["ca.crt", "ca.key"]


@case
def the_folder_is_the_options_then_the_settings_then_the_homes():
    expect(run("certs", "init", env={"VMAFX_CERTS": "", "XDG_DATA_HOME": os.path.abspath("data"), "HOME": "/nowhere"}), 0)
    assert os.path.exists("data/vmafx/certs/ca.key")
    expect(run("certs", "init", env={"VMAFX_CERTS": "", "XDG_DATA_HOME": "", "HOME": os.path.abspath("home")}), 0)
    assert os.path.exists("home/.local/share/vmafx/certs/ca.key")
    certs(0, "init", "--directory", "named")
    assert os.path.exists("named/ca.key") and not os.path.exists("certs")


if __name__ == "__main__":
    main()
