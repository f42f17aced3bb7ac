"""From settings to the parts that decide which requests may pass, and what becomes of them."""

from proxy.guard.policy import Policy
from proxy.guard.routing import Route, Router
from proxy.guard.token_calls import token_call_paths
from proxy.settings.loader import Settings

__all__ = ["new_guard", "placeholder_paths"]


def _new_router(settings: Settings) -> Router:
    return Router(
        Route(
            path=route.path.encode(),
            client=route.client,
            methods=None
            if route.methods is None
            else frozenset(method.encode() for method in route.methods),
            label=route.path,
        )
        for route in settings.routes
    )


def new_guard(settings: Settings) -> tuple[Policy, Router]:
    """Return what says which requests may pass, and whose token a path gets."""
    router = _new_router(settings)
    policy = Policy(
        upstream_url=settings.upstream_url,
        token_urls={client.token_url for client in settings.clients},
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
        allowed_paths=settings.allowed_paths,
        allowed_methods=settings.allowed_methods,
        routes_restrict_paths=router.restricts_paths,
    )
    return policy, router


def placeholder_paths(settings: Settings) -> frozenset[bytes]:
    """Return the paths at which token calls get a placeholder: none, unless it is on (P1)."""
    if not settings.placeholder_token:
        return frozenset()
    urls = (client.token_url for client in settings.clients)
    return token_call_paths(urls, settings.upstream_url)
