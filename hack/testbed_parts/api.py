"""Asking servers, over HTTP(S), in one line."""

import http.client
import json
import ssl
import urllib.error
import urllib.request

from . import certificates

TROUBLE = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)


def answers(url, **options):
    """Whether the server answers this with a 2xx."""
    try:
        get(url, **options)
        return True
    except TROUBLE:
        return False


def get(url, headers=None, context=None, seconds=5):
    request = urllib.request.Request(url, headers=headers or {})
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),  # these servers are on this machine
        urllib.request.HTTPSHandler(context=context),
    )
    with opener.open(request, timeout=seconds) as response:
        return response.read()


def kubernetes_answers(bed, path):
    return kubernetes(bed, path) is not None


def kubernetes(bed, path):
    """What the API server says to the administrator; None if it says no, or nothing."""
    try:
        body = get(
            bed.api_url + path,
            headers={"Authorization": f"Bearer {bed.secret('admin-token')}"},
            context=ssl.create_default_context(cafile=certificates.path(bed, "ca.crt")),
        )
        return json.loads(body) if body.startswith(b"{") else body
    except TROUBLE:
        return None
