"""The far sides of the transfer benchmarks: nginx as the platform and recordings host, nginx as an S3 that only takes.

The sink answers as S3 does to whoever writes: a put is read to its end and then answered, nothing is there yet, and
the key that a client proves conditional writes with is taken. It keeps nothing, so that no disk is measured.
(nginx alone would answer before it has read a body, and a client that had asked for leave would not send it.)
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from mediapipe.sandbox import SandboxConfig, running

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
DAY = datetime(2024, 2, 14, tzinfo=UTC)
"""Early enough for a million calls to have happened by now."""
PER_DAY, PAGE, COPIED = 2_000, 200, 20_000
"""Calls of a day, calls of a page, and files beyond which nobody copies them but us."""
KINDS = 10
"""So many different recordings there are; calls take turns by the last digit of their id."""

CONF = """\
worker_processes {workers};
error_log {folder}/error.log crit;
pid {folder}/nginx.pid;
daemon off;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000;
  client_body_buffer_size 64m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fast; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  map $arg_start $day {{ default none; "~^(?<date>[0-9]+-[0-9]+-[0-9]+)" $date; }}
  default_type application/octet-stream;
  ssl_certificate {folder}/cert.pem;
  ssl_certificate_key {folder}/key.pem;
  ssl_session_cache shared:s:1m;
  server {{
    listen 127.0.0.1:{source} ssl;
    root {folder}/www;
    location = /v3/conversations/calls {{
      default_type application/json;
      try_files /list/$day/$arg_offset.json /list/end.json =404;
    }}
    location ~ ^/v3/recordings/[0-9]*([0-9])$ {{ default_type audio/wav; try_files /kinds/$1.wav =404; }}
    location /src/ {{ autoindex on; }}
  }}
  server {{
    listen 127.0.0.1:{sink};
    location / {{
      if ($uri ~ conditional-write-probe) {{ return 412 '<?xml version="1.0"?><Error><Code>PreconditionFailed</Code></Error>'; }}
      if ($request_method = HEAD) {{ return 404; }}
      if ($request_method = GET) {{ return 200 '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>'; }}
      proxy_pass http://answers;
      proxy_http_version 1.1;
      proxy_pass_request_body off;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_set_header Expect "";
    }}
  }}
  upstream answers {{ server unix:{folder}/answers.sock; keepalive 64; }}
  server {{
    listen unix:{folder}/answers.sock;
    location / {{
      add_header ETag '"d41d8cd98f00b204e9800998ecf8427e"';
      add_header x-amz-request-id 1;
      # Not 200: nginx would take If-None-Match for a reader's and say 304.
      return 201;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where they listen, and what is to be moved: files of ``src`` for tools that copy, calls for us."""

    folder: Path
    source: int
    sink: int
    calls: int
    size: int

    @property
    def days(self) -> int:
        """Days that the calls take."""
        return -(-self.calls // PER_DAY)

    @property
    def span(self) -> tuple[str, str]:
        """The days as ``--from`` and ``--to`` take them."""
        return f"{DAY:%Y-%m-%d}", f"{DAY + timedelta(days=self.days):%Y-%m-%d}"

    @property
    def environment(self) -> dict[str, str]:
        """What every client is told: trust, addresses, made-up credentials."""
        source = f"https://localhost:{self.source}"
        return {
            **os.environ,
            "SSL_CERT_FILE": str(self.folder / "cert.pem"),
            "CONVIRZA_V3_URL": f"{source}/v3",
            "CONVIRZA_V3_TOKEN": "a-token",
            "CONVIRZA_RECORDING_HOSTS": "localhost",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.sink}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def serving(folder: Path, calls: int, size: int) -> Iterator[Servers]:
    """Serve so many recordings of so many bytes."""
    folder.chmod(0o755)  # nginx gives up being root
    servers = Servers(folder, free_port(), free_port(), calls, size)
    _certificate(folder)
    _contents(servers)
    conf = folder / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, source=servers.source, sink=servers.sink, workers=2))
    with subprocess.Popen([NGINX, "-p", str(folder), "-c", str(conf)], stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(servers.source)
            _wait_for(servers.sink)
            yield servers
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("nginx did not start")


def _certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _contents(servers: Servers) -> None:
    """Write recordings, the API's pages, and the same files for tools that copy files."""
    www = servers.folder / "www"
    for name in ("kinds", "list", "src"):
        (www / name).mkdir(parents=True)
    for kind in range(KINDS):
        (www / "kinds" / f"{kind}.wav").write_bytes(_recording(kind, servers.size))
    _pages(servers, www / "list")
    if servers.calls <= COPIED:
        for number in range(servers.calls):
            os.link(www / "kinds" / f"{number % KINDS}.wav", www / "src" / f"{number:06}.wav")
            (www / "src" / f"{number:06}.json").write_bytes(b"{" + b" " * 1_900 + b"}")


def _recording(kind: int, size: int) -> bytes:
    data = os.urandom(1 << 20)
    body = (data * (size // len(data) + 1))[: size - 44]
    rate = 8000
    head = b"RIFF" + (size - 8).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    head += (1).to_bytes(2, "little") * 2 + rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little")
    head += (
        (2).to_bytes(2, "little") + (16).to_bytes(2, "little") + b"data" + (size - 44).to_bytes(4, "little")
    )
    return head + body


def _template(servers: Servers) -> dict[str, Any]:
    """Return a call's record as the sandbox lists it."""
    config = SandboxConfig(
        count=1,
        days=1,
        until=DAY.date() + timedelta(days=1),
        none_share=0,
        late_share=0,
        newest_late=0,
        wav_only=True,
    )
    with running(config) as sandbox:
        environ = sandbox.environment()
        login = httpx.post(
            f"{environ['CONVIRZA_V3_OAUTH_URL']}/token",
            json={"email": environ["CONVIRZA_EMAIL"], "password": environ["CONVIRZA_PASSWORD"]},
        ).json()
        query = {"start": "2024-02-13T00:00:00Z", "end": "2024-02-16T00:00:00Z", "limit": "1", "offset": "0",
                 "include": "recordings,tags,comments,custom_sources"}  # fmt: skip
        page = httpx.get(
            f"{environ['CONVIRZA_V3_URL']}/conversations/calls", params=query,
            headers={"Authorization": f"Bearer {login['access_token']}"},
        ).json()  # fmt: skip
    call: dict[str, Any] = page["data"]["calls"][0]
    return call


def _pages(servers: Servers, folder: Path) -> None:
    """Write the list: a folder for each day, named by the date its window begins with, a file a page."""
    template = _template(servers)
    seconds = (servers.size - 44) / 16_000
    length = f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:05.2f}"
    number = 0
    for day in range(servers.days):
        begin = DAY + timedelta(days=day)
        place = folder / f"{begin - timedelta(days=1):%Y-%m-%d}"
        place.mkdir()
        calls = []
        while number < servers.calls and len(calls) < PER_DAY:
            calls.append(_call(template, servers, number, begin + timedelta(seconds=30 * len(calls)), length))
            number += 1
        for offset in range(0, len(calls) + 1, PAGE):
            text = json.dumps(
                {
                    "code": 200,
                    "message": "OK",
                    "data": {"total": len(calls), "calls": calls[offset : offset + PAGE]},
                }
            )
            (place / f"{offset}.json").write_text(text)
        (place / f"{len(calls)}.json").write_text(
            json.dumps({"code": 200, "data": {"total": len(calls), "calls": []}})
        )
    (folder / "end.json").write_text('{"code": 200, "data": {"total": 0, "calls": []}}')


def _call(
    template: dict[str, Any], servers: Servers, number: int, at: datetime, length: str
) -> dict[str, Any]:
    call_id = 1_000_000 + number
    url = f"https://localhost:{servers.source}/v3/recordings/{call_id}?secret=s&access=a&expires=1900000000&file_name=x.wav"
    details = template["recording_details"] | {
        "recording_id": 2_000_000 + number, "url": url, "expires_at": 1_900_000_000, "duration": length,
    }  # fmt: skip
    started = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return template | {"call_id": call_id, "call_started": started, "recording_details": details}
