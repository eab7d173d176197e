"""A hub on this machine: as much of its protocol as one commit needs."""

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


class LoopbackHub(ThreadingHTTPServer):
    """Keeps repositories in memory, and what was asked for."""

    def __init__(self, token="hf_test"):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token, self.repositories, self.private = token, {}, {}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def _body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _answer(self, value, status=200, headers=()):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, content in headers:
            self.send_header(name, content)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        body, hub = self._body(), self.server
        if self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self._answer({"error": "who are you?"}, 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(
                filter(None, (asked.get("organization"), asked["name"]))
            )
            hub.repositories.setdefault(name, {})
            hub.private[name] = asked.get("private") or asked.get("visibility")
            return self._answer({"url": f"{hub.url}/{name}", "id": name})
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        name = re.search(r"/api/models/([^/]+/[^/]+)/", self.path)[1]
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            kept = [
                {"path": file["path"], "uploadMode": "regular",
                 "shouldIgnore": False}
                for file in files
            ]  # fmt: skip
            return self._answer({"files": kept})
        for line in body.splitlines():
            row = json.loads(line)
            if row["key"] == "file":
                value = row["value"]
                content = base64.b64decode(value["content"])
                hub.repositories[name][value["path"]] = content
        url = f"{hub.url}/{name}/commit/{COMMIT}"
        return self._answer({"commitUrl": url, "commitOid": COMMIT})

    def do_GET(self):
        hub, parts = self.server, self.path.split("?")[0].split("/")
        if parts[1:3] == ["api", "models"]:
            files = hub.repositories.get("/".join(parts[3:5]))
            if files is None:
                return self._answer({"error": "not found"}, 404)
            siblings = [{"rfilename": path} for path in files]
            tree = [
                {"type": "file", "path": path, "size": len(content),
                 "oid": hashlib.sha1(content).hexdigest()}
                for path, content in files.items()
            ]  # fmt: skip
            if "tree" in parts:
                return self._answer(tree)
            return self._answer(
                {"id": "/".join(parts[3:5]), "sha": COMMIT,
                 "siblings": siblings, "tags": [], "private": False}
            )  # fmt: skip
        files = hub.repositories.get("/".join(parts[1:3]), {})
        content = files.get("/".join(parts[5:]))
        if content is None:
            return self._answer({"error": "not found"}, 404)
        digest = f'"{hashlib.sha256(content).hexdigest()}"'
        self._answer(
            content, headers=[("ETag", digest), ("X-Repo-Commit", COMMIT)]
        )

    do_HEAD = do_GET
