"""Where alerts are sent: one address that takes JSON, as chats' incoming webhooks do.

Belongs here: the address and posting to it. Does not belong here: what is sent (alerts.py).
"""

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

URL = "VIDTAG_ALERT_WEBHOOK"
"""Variable that names the address; not set = nobody is told."""
UI = "VIDTAG_DAGSTER_URL"
"""Variable that names Dagster's UI as others reach it; not set = alerts have no link."""
OF_CONTENT = (400, 413, 422)
"""Answers to what was posted, not to who or how often: a title alone is tried then."""
TIMEOUT_S = 10.0
"""How long the address may take."""
TOGETHER_S = 20.0
"""After which no other alert is sent in one go: Dagster gives a sensor 60 s."""


class _NoDetours(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: what is posted would be lost on the way, and all look well."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Says that there is nowhere else to go."""


_OPENER = urllib.request.build_opener(_NoDetours)


def address() -> str | None:
    """Where alerts are sent; None = nowhere.

    Raises:
        ValueError: it is no address of the web.
    """
    found = os.environ.get(URL, "").strip()
    if found and urllib.parse.urlsplit(found).scheme not in ("http", "https"):
        raise ValueError(f"{URL} must begin with http:// or https://")
    return found or None


def interface() -> str:
    """Address of Dagster's UI; empty = not known."""
    return os.environ.get(UI, "").strip()


def send(contents: Sequence[Mapping[str, Any]]) -> tuple[int, str | None]:
    """Posts each in its order until one is not taken; how many were, and why no more.

    Raises:
        ValueError: the address is none.
    """
    began, url = time.monotonic(), address()
    for sent, content in enumerate(contents):
        if time.monotonic() - began > TOGETHER_S:
            return sent, None
        refused = _post(url or "", content)
        if refused:
            return sent, refused
    return len(contents), None


def _post(url: str, content: Mapping[str, Any]) -> str | None:
    """Why it was not taken; None if it was. The address's path, which is a secret, is not told."""
    request = urllib.request.Request(  # noqa: S310
        url, json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        if error.code in OF_CONTENT and len(content) > 1:  # so that it does not block the next
            return _post(url, {"text": str(content["text"]).partition("\n")[0]})
        why = str(error)
    except OSError as error:
        why = str(error)
    except http.client.HTTPException as error:  # its text may hold the address
        why = type(error).__name__
    return f"{urllib.parse.urlsplit(url).hostname} takes no alert: {why}"
