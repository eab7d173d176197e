"""A server on this machine that misbehaves on request."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 40


class Origin:
    """A server, what it serves, and what it was asked for."""

    def __init__(self):
        self.content = CONTENT
        self.version = '"1"'
        self.ranges = True
        self.break_after = []  # bytes sent by the coming answers
        self.statuses = []  # of the coming answers, instead of the file
        self.asked = []

        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                origin.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/a.zip"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        same = handler.headers.get("If-Range") == self.version
        start = 0
        if wanted and self.ranges and same:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", self.version)
        handler.end_headers()
        if self.break_after:
            body = body[: self.break_after.pop(0)]
        handler.wfile.write(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
