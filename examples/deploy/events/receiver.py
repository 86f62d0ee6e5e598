"""Takes events whose signature is right, each once, and prints them: python3 receiver.py PORT"""

import hashlib
import hmac
import http.server
import json
import os
import sys
import time

SECRET = os.environ["WEBHOOK_SECRET"].encode()
SEEN = set()


def is_signed(headers, body):
    """Whether the sender knows the secret, and has sent the request within the last five minutes."""
    timestamp = headers.get("X-Throughline-Timestamp", "")
    mac = hmac.new(SECRET, timestamp.encode() + b"." + body, hashlib.sha256)
    signature = headers.get("X-Throughline-Signature", "")
    is_new = timestamp.isdecimal() and abs(time.time() - int(timestamp)) < 300
    return is_new and hmac.compare_digest(signature.encode(), b"sha256=" + mac.hexdigest().encode())


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        taken = is_signed(self.headers, body)
        if taken:
            for event in json.loads(body):
                if event["id"] not in SEEN:
                    SEEN.add(event["id"])
                    print(event["type"], event["data"], flush=True)
        self.send_response(204 if taken else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
