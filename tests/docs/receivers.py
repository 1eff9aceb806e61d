"""Stands in for Pyroscope and Parca: takes profiles at their HTTP endpoints, and refuses what the real profile.proto can't read."""

import base64
import gzip
import http.server
import json
import threading
import urllib.parse


class Receiver(http.server.ThreadingHTTPServer):
    def __init__(self, profile_class):
        super().__init__(("127.0.0.1", 0), Handler)
        self.profile_class, self.profiles = profile_class, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, place, raw):
        profile = self.profile_class()
        profile.ParseFromString(gzip.decompress(raw))
        types = [profile.string_table[kind.type] for kind in profile.sample_type]
        if types != ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"] or not profile.sample:
            raise ValueError(f"not a heap profile: {types}")
        self.profiles.append((place, profile))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            self.answer(200, self.receive(urllib.parse.urlsplit(self.path), body))
        except Exception as error:
            self.answer(400, repr(error))

    def receive(self, url, body):
        if url.path == "/ingest":
            return self.ingest(dict(urllib.parse.parse_qsl(url.query, strict_parsing=True)), body)
        if url.path == "/profiles/writeraw":
            return self.write_raw(json.loads(body))
        raise ValueError(f"no such endpoint: {url.path}")

    def ingest(self, query, body):
        """Pyroscope's: what is required of the query, the profile as it is."""
        if query["format"] != "pprof" or not query["name"] or not int(query["from"]) < int(query["until"]):
            raise ValueError(query)
        self.server.take("pyroscope", body)
        return ""

    def write_raw(self, request):
        """Parca's WriteRawRequest, in the JSON of its gateway: no field that it doesn't know."""
        if self.headers["Content-Type"] != "application/json" or not set(request) <= {"tenant", "series", "normalized"}:
            raise ValueError(sorted(request))
        for series in request["series"]:
            labels = {label["name"]: label["value"] for label in series["labels"]["labels"]}
            if set(series) != {"labels", "samples"} or not labels["__name__"]:
                raise ValueError(series)
            for sample in series["samples"]:
                self.server.take("parca", base64.b64decode(sample["raw_profile"], validate=True))
        return "{}"

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments):
        pass
