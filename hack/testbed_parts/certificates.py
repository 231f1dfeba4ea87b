"""A certificate authority of the test bed's own, and what it signs.

So that clients verify TLS here as they do anywhere else: nothing in the test bed skips it.
"""

from .part import Part
from .place import HOST_NAME
from .processes import run

DAYS = "3650"


def _folder(bed):
    return bed.folder / "certificates"


def path(bed, name):
    return str(_folder(bed) / name)


def _all_there(bed):
    names = ("ca.crt", "apiserver.crt", "kubelet-client.crt", "service-account.key")
    return all((_folder(bed) / name).exists() for name in names)


def _make(bed):
    bed.subfolder("certificates").chmod(0o700)
    _make_authority(bed)
    _sign(bed, "apiserver", "/CN=kube-apiserver", f"subjectAltName={_names(bed)}")
    # With this the API server shows a kubelet that it may ask for logs and run commands.
    _sign(
        bed, "kubelet-client", "/O=system:masters/CN=kube-apiserver", "extendedKeyUsage=clientAuth"
    )
    _openssl(bed, "genrsa", "-out", "service-account.key", "2048")


def _names(bed):
    addresses = ("127.0.0.1", bed.host_ip, bed.first_service_ip)
    names = ["localhost", HOST_NAME, "kubernetes", "kubernetes.default"]
    names += ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    return ",".join([f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses])


def _make_authority(bed):
    _request(
        bed, "ca", "/CN=knative-lambda test bed",
        "-addext", "basicConstraints=critical,CA:TRUE",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip


def _sign(bed, name, subject, extension):
    _request(
        bed, name, subject,
        "-CA", "ca.crt", "-CAkey", "ca.key",
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", extension,
    )  # fmt: skip


def _request(bed, name, subject, *more):
    _openssl(
        bed, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc",
        "-days", DAYS, "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.crt", *more,
    )  # fmt: skip


def _openssl(bed, *words):
    run(["openssl", *words], "certificates", cwd=_folder(bed))


PART = Part(name="certificates", prepare=_make, ready=_all_there)
