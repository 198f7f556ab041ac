# SPDX-License-Identifier: BSD-2-Clause-Patent
"""An HTTP server that has files and bad manners, by path, and a store that checks signatures as AWS documents them."""
import hashlib
import hmac
import http.server
import random
import re
import ssl
import threading
import time
import urllib.parse

DATA = random.Random(7).randbytes(3_000_000)
CUT = 1_000_000  # bytes after which a transfer breaks
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


def signature(secret, region, date, scope_day, method, path, query, headers, signed, payload):
    """AWS Signature Version 4, from "Authenticating Requests (AWS Signature Version 4)": all from what came in."""
    canonical = "\n".join([method, path, query, *(f"{name}:{' '.join(headers[name].split())}" for name in signed), "",
                           ";".join(signed), payload])
    scope = f"{scope_day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (scope_day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class Server:
    """Requests are kept in .requests as (path, headers)."""

    def __init__(self, certificate=None, files=None, secrets=None):
        outer = self
        self.requests, self.files, self.secrets = [], dict(files or {}), secrets or {}
        self.lock, self.seen = threading.Lock(), {}
        self.release = threading.Event()  # /held waits for it

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                with outer.lock:
                    outer.requests.append((self.path, dict(self.headers)))
                    outer.seen[url.path] = outer.seen.get(url.path, 0) + 1
                    self.nth = outer.seen[url.path]
                self.query = dict(urllib.parse.parse_qsl(url.query))
                name = url.path.strip("/").split("/")[0].replace("-", "_")
                try:
                    if urllib.parse.unquote(url.path) in outer.files:
                        self.whole(outer.files[urllib.parse.unquote(url.path)])
                    else:
                        getattr(self, name, self.not_there)()
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    pass

            # ---- the usual ----

            def head(self, status, **headers):
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key.replace("_", "-"), str(value))
                self.end_headers()

            def whole(self, data=DATA, ranges=True, etag='"one"', cut=None, **more):
                """An honest answer, but for its end."""
                if etag and self.headers.get("If-None-Match") == etag:
                    self.head(304, ETag=etag, **more)
                    return
                asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
                if asked and ranges and self.headers.get("If-Range", etag) == etag:
                    first = int(asked.group(1))
                    body = data[first:]
                    self.head(206, Content_Length=len(body), ETag=etag,
                              Content_Range=f"bytes {first}-{len(data) - 1}/{len(data)}", **more)
                else:
                    body = data
                    self.head(200, Content_Length=len(body), **({"ETag": etag} if etag else {}), **more)
                self.wfile.write(body[:cut] if cut else body)
                if cut and cut < len(body):
                    self.close_connection = True

            def not_there(self):
                self.head(404, Content_Length=0)

            def ok(self):
                self.whole()

            def fresh(self):
                self.whole(Cache_Control="max-age=3600")

            def private(self):
                self.whole(Cache_Control="no-store, max-age=3600")

            def dated(self):
                if self.headers.get("If-Modified-Since") == DATE:
                    self.head(304, Last_Modified=DATE)
                else:
                    self.whole(etag=None, Last_Modified=DATE)

            def unproven(self):
                self.whole(etag=None)

            def sized(self):
                self.whole(DATA[:int(self.query["n"])], etag=f'"{self.path}"')

            # ---- broken off ----

            def cut(self):
                self.whole(cut=CUT)

            def cut_without_ranges(self):
                self.whole(cut=CUT if self.nth <= 2 else None, ranges=False)

            def cut_always(self):
                self.whole(cut=CUT, ranges=False)

            def changes(self):
                """Another file from the second request on."""
                self.whole(DATA if self.nth == 1 else DATA[::-1], etag=f'"{min(self.nth, 2)}"',
                           cut=CUT if self.nth == 1 else None)

            def changes_unasked(self):
                """The same by a server that does not know If-Range."""
                if self.nth > 1:
                    del self.headers["If-Range"]
                self.changes()

            def shrinks(self):
                if self.headers.get("Range"):
                    self.head(416, Content_Length=0, Content_Range="bytes */10")
                else:
                    self.whole(DATA if self.nth == 1 else DATA[:10], cut=CUT if self.nth == 1 else None)

            def swaps(self):
                """Another file at the second request, cut; what is left of that is "not modified"."""
                if self.headers.get("Range"):
                    self.head(304, ETag='"one"')
                else:
                    self.whole(*((DATA, True, '"one"') if self.nth == 1 else (DATA[::-1], True, '"two"')),
                               cut=CUT if self.nth == 2 else None)

            def returns(self):
                """Another file at the second request, cut and nameless; then it is the first one again."""
                self.whole(DATA[::-1], etag=None, cut=CUT) if self.nth == 2 else self.whole()

            def parts(self):
                """Never more than CUT at a time, and honest about it."""
                asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
                if not asked:
                    self.whole(cut=CUT)
                    return
                first = int(asked.group(1))
                body = DATA[first:first + CUT]
                self.head(206, Content_Length=len(body), ETag='"one"',
                          Content_Range=f"bytes {first}-{first + len(body) - 1}/{len(DATA)}")
                self.wfile.write(body)

            def stall(self):
                self.whole(cut=CUT) if self.nth > 1 else self.hang()

            def hang(self):
                self.head(200, Content_Length=len(DATA), ETag='"one"')
                self.wfile.write(DATA[:CUT])
                outer.release.wait(60)

            def silent(self):
                outer.release.wait(60)

            def slow(self):
                self.head(200, Content_Length=len(DATA), ETag='"one"')
                for at in range(0, len(DATA), 50_000):
                    self.wfile.write(DATA[at:at + 50_000])
                    time.sleep(0.02)

            def held(self):
                outer.release.wait(60)
                self.whole()

            # ---- lies ----

            def promises_more(self):
                self.head(200, Content_Length=len(DATA) + 5)
                self.wfile.write(DATA)
                self.close_connection = True

            def promises_less(self):
                self.head(200, Content_Length=len(DATA) - 5)
                self.wfile.write(DATA)
                self.close_connection = True

            def wrong_range(self):
                if self.headers.get("Range"):
                    self.head(206, Content_Length=10, ETag='"one"', Content_Range=f"bytes 0-9/{len(DATA)}")
                    self.wfile.write(DATA[:10])
                else:
                    self.whole(cut=CUT)

            def other_total(self):
                if self.headers.get("Range"):
                    self.head(206, Content_Length=10, ETag='"one"', Content_Range=f"bytes {CUT}-{CUT + 9}/{CUT + 10}")
                    self.wfile.write(DATA[:10])
                else:
                    self.whole(cut=CUT)

            def part_unasked(self):
                self.head(206, Content_Length=10, Content_Range=f"bytes 0-9/{len(DATA)}")
                self.wfile.write(DATA[:10])

            def gzip(self):
                self.whole(Content_Encoding="gzip")

            def endless(self):
                self.head(200, Transfer_Encoding="chunked")
                while True:
                    self.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")

            def chunks(self):
                self.head(200, Transfer_Encoding="chunked", ETag='"one"')
                for at in range(0, len(DATA), 100_000):
                    part = DATA[at:at + 100_000]
                    self.wfile.write(b"%x\r\n" % len(part) + part + b"\r\n")
                if self.query.get("cut"):
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

            def unframed(self):
                self.head(200, Connection="close")
                self.wfile.write(DATA)
                self.close_connection = True

            def headers_without_end(self):
                self.send_response(200)
                for i in range(100_000):
                    self.send_header(f"X-{i}", "x" * 1000)
                    self.flush_headers()

            def no_http(self):
                self.wfile.write(b"\0\1\2 hello\r\n\r\n")
                self.close_connection = True

            # ---- statuses ----

            def status(self):
                self.head(int(self.path.split("/")[2].split("?")[0]), Content_Length=9)
                self.wfile.write(b"forbidden")

            def flaky(self):
                self.whole() if self.nth > 2 else self.head(503, Content_Length=0)

            def busy(self):
                self.whole() if self.nth > 1 else self.head(429, Content_Length=0, Retry_After=2)

            def busy_for_long(self):
                self.head(429, Content_Length=0, Retry_After=3600)

            # ---- elsewhere ----

            def to(self):
                self.head(int(self.query.get("status", 302)), Location=self.query["u"], Content_Length=4)
                self.wfile.write(b"gone")

            def loop(self):
                self.head(302, Location=f"/loop?{self.nth}", Content_Length=0)

            def hops(self):
                n = int(self.query["n"])
                self.head(307, Location=f"/hops?n={n - 1}" if n > 1 else "/ok", Content_Length=0)

            def lost(self):
                self.head(302, Content_Length=0)

            def guarded(self):
                if self.headers.get("Authorization") == "Basic dTpwOndAcmQ=":  # u:p:w@rd
                    self.whole()
                else:
                    self.head(401, Content_Length=0)

            # ---- a store ----

            def bucket(self):
                got = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
                                   r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
                                   self.headers.get("Authorization", ""))
                headers = {key.lower(): value for key, value in self.headers.items()}
                path, _, query = self.path.partition("?")
                if not got or got.group(1) not in outer.secrets:
                    self.head(403, Content_Length=0)
                    return
                access, day, region, signed, given = got.groups()
                signed = signed.split(";")
                canonical = urllib.parse.quote(urllib.parse.unquote(path), safe="/-_.~")
                must = {"host", "x-amz-date", "x-amz-content-sha256"} | (
                    {"x-amz-security-token"} if outer.secrets[access][1] else set())
                right = must <= set(signed) == set(sorted(signed)) and list(signed) == sorted(signed) and \
                    headers.get("x-amz-security-token") == outer.secrets[access][1] and canonical == path and \
                    headers["x-amz-date"].startswith(day) and given == signature(
                        outer.secrets[access][0], region, headers["x-amz-date"], day, "GET", canonical, query, headers,
                        signed, headers["x-amz-content-sha256"])
                if not right:
                    self.head(403, Content_Length=0)
                elif "cut" in path:
                    self.whole(cut=CUT)
                else:
                    self.whole()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that leave are what is wanted here
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path, host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def asked(self, path):
        """The headers of each request for a path."""
        with self.lock:
            return [headers for target, headers in self.requests if target.split("?")[0] == path]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
