"""Knative's data plane, and JobSink, as processes of this machine; the test bed has only the controllers."""

import base64
import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from support.testbed import REPOSITORY
from support.waiting import wait_for

sys.path.append(str(REPOSITORY / "hack"))
from testbed_parts import api, apiserver, knative, processes, rabbitmq, topology  # noqa: E402
from testbed_parts.place import TestBed as Place  # noqa: E402

POLL_SECONDS = 0.2
BACK_OFF_SECONDS = 1.0  # before a process that died is started again; a kubelet waits longer
END_SECONDS = 5  # an ingress waits 45 s for further requests before it leaves

SERVICE = re.compile(r"https?://([a-z0-9.-]+\.svc)(?:\.cluster\.local)?(?::\d+)?")


class DataPlane:
    """Runs the real ingress, dispatcher and receive_adapter of every Deployment that the controllers
    make, as a kubelet would: started with the Deployment's environment, anew when that changes, again
    when they die, ended with the Deployment. One process a Deployment, whatever its replicas.

    Names of Services don't resolve here, so those in the environment are replaced: a broker's ingress by
    its process, others as `route` says. Use it in a `with`; `hack/testbed down` ends its processes too.
    """

    def __init__(self, bed):
        self.place = Place(bed.name)
        self.routes = {}  # host -> URL, without a slash at its end
        self.containers = {}  # (namespace, Deployment) -> _Container
        self.lock = threading.RLock()
        self.ending = threading.Event()
        self.supervisor = threading.Thread(target=self._supervise)

    def __enter__(self):
        self.supervisor.start()
        return self

    def __exit__(self, *_exception):
        self.ending.set()
        self.supervisor.join()
        end(*(container.process for container in self.containers.values() if container.process))

    # --- what tests do with it ---

    def route(self, namespace, service, url):
        """Where a Service of the cluster is, for those that are started from now on."""
        with self.lock:
            self.routes[f"{service}.{namespace}.svc"] = url

    def ingress_url(self, namespace, broker):
        return self._url_of(f"{broker}-broker-ingress.{namespace}.svc")

    def publish(self, namespace, broker, event, data=b"", deadline_seconds=30):
        """Sends an event, given by its attributes, to a broker; returns the status.

        Waits as long as nobody listens there, or the ingress has no connection to RabbitMQ yet."""
        headers = {f"Ce-{name}": value for name, value in event.items() if name != "datacontenttype"}
        headers["Content-Type"] = event.get("datacontenttype", "application/json")
        url = self.ingress_url(namespace, broker) + "/"

        def accepted():
            status = post(url, headers, data)
            return status if status not in (None, 500) else None

        return wait_for(accepted, deadline_seconds, f"{broker}'s ingress accepts an event")

    def process(self, namespace, deployment):
        """The pid of a Deployment's process, None while there is none."""
        with self.lock:
            container = self.containers.get((namespace, deployment))
            return container.pid() if container else None

    def kill(self, namespace, deployment):
        """SIGKILL; it is started again, like all that die."""
        with self.lock:
            self.containers[namespace, deployment].process.kill()

    def restarts(self, namespace, deployment):
        with self.lock:
            return self.containers[namespace, deployment].restarts

    # --- supervising ---

    def _supervise(self):
        while not self.ending.wait(POLL_SECONDS):
            # Without an answer (the API server is away) all goes on as it was, as on a node.
            deployments = api.kubernetes(self.place, "/apis/apps/v1/deployments")
            with self.lock:
                if deployments:
                    self._follow(deployments["items"])
                for container in self.containers.values():
                    container.keep_running()

    def _follow(self, deployments):
        wanted = {}
        for deployment in deployments:
            spec = deployment["spec"]
            container = spec["template"]["spec"]["containers"][0]
            if container["image"].startswith(knative.IMAGES + "/") and spec["replicas"]:
                name = deployment["metadata"]["name"]
                wanted[deployment["metadata"]["namespace"], name] = container
        for key in list(self.containers):
            if self.containers[key].template != wanted.get(key):
                self.containers.pop(key).end()
        for key, template in wanted.items():
            if key not in self.containers:
                self.containers[key] = _Container(self, *key, template)

    def environment(self, namespace, deployment, template):
        """None as long as a Secret is missing."""
        found = {}
        for variable in template.get("env", []):
            value = self._value(namespace, deployment, variable)
            if value is None:
                return None
            found[variable["name"]] = SERVICE.sub(self._replacement, value)
        if template["image"].endswith("/knative-ingress"):
            url = self._url_of(f"{deployment}.{namespace}.svc")
            found["PORT"] = str(urllib.parse.urlsplit(url).port)
        return found

    def _value(self, namespace, deployment, variable):
        source = variable.get("valueFrom")
        if not source:
            return variable.get("value", "")
        if "secretKeyRef" in source:
            return self._secret(namespace, source["secretKeyRef"])
        return {"metadata.name": deployment, "metadata.namespace": namespace}[
            source["fieldRef"]["fieldPath"]
        ]

    def _secret(self, namespace, reference):
        path = f"/api/v1/namespaces/{namespace}/secrets/{reference['name']}"
        data = (api.kubernetes(self.place, path) or {}).get("data", {})
        if reference["key"] not in data:
            return "" if reference.get("optional") else None
        return base64.b64decode(data[reference["key"]]).decode()

    def _replacement(self, match):
        return self._url_of(match[1]) or match[0]

    def _url_of(self, host):
        """An ingress keeps its port for good, from whoever mentions it first."""
        with self.lock:
            if host not in self.routes and "-broker-ingress." in host:
                self.routes[host] = f"http://127.0.0.1:{free_port()}"
            return self.routes.get(host)


class _Container:
    """The process of one Deployment."""

    def __init__(self, plane, namespace, deployment, template):
        self.plane, self.namespace, self.deployment = plane, namespace, deployment
        self.template = template
        self.process = None
        self.restarts = -1
        self.next_start = 0.0

    def pid(self):
        return self.process.pid if self.process and self.process.poll() is None else None

    def keep_running(self):
        if self.pid() or time.monotonic() < self.next_start:
            return
        environment = self.plane.environment(self.namespace, self.deployment, self.template)
        if environment is None:
            return
        self.next_start = time.monotonic() + BACK_OFF_SECONDS
        program = self.template["image"].rpartition("/")[2]
        log = f"{self.namespace}-{self.deployment}"
        self.process = start(self.plane.place, program, environment, log)
        self.restarts += 1

    def end(self):
        if self.process:
            end(self.process)


# --- JobSink ---

JOBSINK_PORT = 8080  # neither this one nor 8443 can be chosen


class JobSink:
    """Knative's JobSink. Post to url(namespace, name) with its `host_header`."""

    host_header = f"job-sink.{knative.NAMESPACE}"

    def __init__(self, process):
        self.process = process

    def url(self, namespace, name):
        return f"http://127.0.0.1:{JOBSINK_PORT}/{namespace}/{name}"

    def stop(self):
        end(self.process)


def make_jobsink(bed, namespace, name, job):
    """The object, with the address that Knative's own controller, which is not here, would give it."""
    sink = {
        "apiVersion": "sinks.knative.dev/v1alpha1",
        "kind": "JobSink",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"job": job},
    }
    bed.apply(sink)
    url = f"http://{JobSink.host_header}.svc.cluster.local/{namespace}/{name}"
    bed.kubectl(
        "patch", "jobsink", name, f"--namespace={namespace}", "--subresource=status", "--type=merge",
        "--patch", json.dumps({"status": {"address": {"name": "http", "url": url}}}),
    )  # fmt: skip


def start_jobsink(bed, qps=None, burst=None):
    """Starts it as its manifest does, which limits it to client-go's few requests a second unless both
    numbers are given. There can be one on a machine, and nothing else on port 8080 (AssertionError)."""
    for port in (JOBSINK_PORT, 8443):
        assert not listens(port), f"JobSink needs port {port}, and another program has it"
    place = Place(bed.name)
    environment = knative.environment(place) | {
        "NAMESPACE": knative.NAMESPACE,
        "CONTAINER_NAME": "job-sink",
    }
    for name, limit in (("KUBE_API_QPS", qps), ("KUBE_API_BURST", burst)):
        environment.pop(name)
        if limit is not None:
            environment[name] = str(limit)
    process = start(place, "knative-jobsink", environment, "jobsink")

    def is_up():
        assert process.poll() is None, place.log("data-plane-jobsink").read_text()[-2000:]
        return listens(JOBSINK_PORT)

    wait_for(is_up, 60, "JobSink listens")
    return JobSink(process)


# --- RabbitMQ ---


def cluster_reference():
    """What Knative's and the topology operator's objects name RabbitMQ by."""
    return {
        "namespace": topology.CONNECTION_NAMESPACE,
        "connectionSecret": {"name": topology.CONNECTION_SECRET},
    }


def connection_secret(bed):
    """The same for a bed without Knative: the Secret by which it finds RabbitMQ."""
    return topology.connection_secret(Place(bed.name))


def publish_to_queue(bed, queue, event, data):
    """Puts an event into a queue, its attributes as the `ce-*` headers that Knative's source reads."""
    message = {
        "routing_key": queue,
        "payload": data.decode(),
        "payload_encoding": "string",
        "properties": {
            "delivery_mode": 2,
            "content_type": "application/json",
            "headers": {f"ce-{name}": value for name, value in event.items()},
        },
    }
    place = Place(bed.name)
    url = rabbitmq.management_url(place) + "/api/exchanges/%2F/amq.default/publish"
    headers = _credentials(place) | {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(message).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["routed"], f"there is no queue {queue}"


def management(bed, path):
    """What RabbitMQ's management API answers to a GET; None if there is no such thing. Its counts are up
    to five seconds old."""
    place = Place(bed.name)
    try:
        return json.loads(api.get(rabbitmq.management_url(place) + "/api" + path, _credentials(place)))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def rabbitmq_request(bed, method, path, body=None):
    """Sends JSON, if there is a body, to RabbitMQ's management API; returns what it answers, if that is JSON."""
    place = Place(bed.name)
    headers = _credentials(place) | {"Content-Type": "application/json"}
    url = rabbitmq.management_url(place) + "/api" + path
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def _credentials(place):
    words = base64.b64encode(f"{rabbitmq.USER}:{place.secret('rabbitmq')}".encode()).decode()
    return {"Authorization": f"Basic {words}"}


def queue_depth(bed, queue):
    """Messages that wait or are with a consumer; None if there is no such queue."""
    found = management(bed, f"/queues/%2F/{urllib.parse.quote(queue, safe='')}")
    return None if found is None else found.get("messages", 0)


def queue_consumers(bed, queue):
    found = management(bed, f"/queues/%2F/{urllib.parse.quote(queue, safe='')}")
    return 0 if found is None else found.get("consumers", 0)


# --- processes and ports ---


def start(place, program, environment, log):
    """Marked as the test bed's, so that `down` ends it whatever becomes of the test."""
    part = "data-plane"
    kubeconfig = {"KUBECONFIG": apiserver.kubeconfig(place)}
    with open(place.log(f"{part}-{log}"), "ab") as file:
        return subprocess.Popen(
            [place.folder / "bin" / program],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=place.subfolder("work", part),
            env=processes.clean_environment(place) | kubeconfig | environment | processes.marks(place, part),
        )


def end(*processes):
    """All at once; those that take their time are killed."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + END_SECONDS
    for process in processes:
        try:
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=END_SECONDS)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def post(url, headers, data):
    """The status; None if nobody listens there."""
    request = urllib.request.Request(url, data=data, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):
        return None
