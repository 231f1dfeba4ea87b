"""A watch of the API server, read by a thread of its own."""

import json
import subprocess
import threading


class Watch:
    """Hands every event of the watch at `path` to take(), in their order, until the `with` ends."""

    def __init__(self, bed, path):
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            ["kubectl", "get", "--raw", path], env=bed.environment(), stdout=subprocess.PIPE, text=True
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def take(self, kind, found):
        """`kind`: ADDED, MODIFIED or DELETED; `found`: the object. Called with the lock held."""
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.process.kill()
        self.reader.join()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            with self.lock:
                self.take(event["type"], event["object"])
