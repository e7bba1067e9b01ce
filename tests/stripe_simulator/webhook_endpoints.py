"""Webhook endpoints: create (the only answer that carries the secret), retrieve, update, delete."""

from __future__ import annotations

from .call import Call, given
from .errors import invalid
from .listing import Filter, page
from .metadata import merge
from .spec import API_VERSION
from .store import Json, Store, new_id

CREATES = {"api_version", "description", "enabled_events", "metadata", "url"}
UPDATES = {"description", "disabled", "enabled_events", "metadata", "url"}
MAX_ENDPOINTS = 16


def new_endpoint(url: str, secret: str, events: list[str], now: int) -> Json:
    """An enabled endpoint; its secret is kept beside what is shown."""
    return {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "application": None,
        "created": now,
        "description": None,
        "enabled_events": events,
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
        "_secret": secret,
    }


def install(store: Store, url: str, secret: str, now: int) -> None:
    """The endpoint of the command line: made once, its secret kept up to date."""
    found = store.select("webhook_endpoint", "json_extract(body, '$._installed') = 1")
    if found:
        store.save({**found[0], "url": url, "_secret": secret})
    else:
        store.add({**new_endpoint(url, secret, ["*"], now), "_installed": 1})


def create(call: Call) -> Json:
    """POST /v1/webhook_endpoints."""
    params = call.params
    if len(call.store.select("webhook_endpoint")) >= MAX_ENDPOINTS:
        raise invalid(f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    refuse_bad_url(params["url"])
    secret = new_id("whsec")
    endpoint = new_endpoint(params["url"], secret, params["enabled_events"], call.now)
    endpoint.update(given(params, "api_version", "description"))
    endpoint["metadata"] = merge({}, params.get("metadata", {}))
    call.store.add(endpoint)
    return {**endpoint, "secret": secret}


def refuse_bad_url(url: str) -> None:
    """Only addresses that can be called."""
    if not url.startswith(("http://", "https://")):
        raise invalid(
            "Invalid URL: An explicit scheme (such as https) must be provided.", param="url"
        )


def stored(call: Call) -> Json:
    """The endpoint that the path names."""
    id_ = call.path["webhook_endpoint"]
    return call.get("webhook_endpoint", id_, param="webhook_endpoint")


def retrieve(call: Call) -> Json:
    """GET /v1/webhook_endpoints/{webhook_endpoint}."""
    return stored(call)


def update(call: Call) -> Json:
    """POST /v1/webhook_endpoints/{webhook_endpoint}."""
    endpoint, params = stored(call), call.params
    endpoint.update(given(params, "description", "enabled_events", "url"))
    refuse_bad_url(endpoint["url"])
    if "metadata" in params:
        endpoint["metadata"] = merge(endpoint["metadata"], params["metadata"])
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    return call.store.save(endpoint)


def delete(call: Call) -> Json:
    """DELETE /v1/webhook_endpoints/{webhook_endpoint}."""
    endpoint = stored(call)
    call.store.remove(endpoint["id"])
    call.store.run("DELETE FROM deliveries WHERE endpoint = ?", endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def list_(call: Call) -> Json:
    """GET /v1/webhook_endpoints."""
    return page(call, "webhook_endpoint", "/v1/webhook_endpoints", Filter(call.params))
