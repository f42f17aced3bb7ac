"""The gate: the order in which the guard's checks are made, and what need not be made again."""

from proxy.errors import NO_ROUTE, ProxyError
from proxy.guard.identity import Peer
from proxy.guard.known_callers import KnownCallers
from proxy.guard.policy import Policy
from proxy.guard.routing import Route, Router
from proxy.guard.token_calls import TOKEN_CALL, TOKEN_CALL_METHOD
from proxy.http1.request import Request

__all__ = ["Admission"]


class Admission:
    """Decides whether a request may pass, and on which route (G2 to G4, I1).

    `callers` are those who are known: they say whose a new connection is.
    `token_calls` are the paths at which a POST gets a placeholder (P1).
    """

    __slots__ = ("_policy", "_router", "_token_calls", "callers")

    def __init__(
        self,
        policy: Policy,
        router: Router,
        callers: KnownCallers,
        token_calls: frozenset[bytes] = frozenset(),
    ) -> None:
        self._policy = policy
        self._router = router
        self._token_calls = token_calls
        self.callers = callers

    @property
    def methods(self) -> frozenset[bytes]:
        """The methods that pass on some route, as `Allow` lists them."""
        return self._policy.methods

    def admit(self, request: Request, peer: Peer) -> Route:
        """Return the route of an allowed request; raise `ProxyError` for any other.

        `peer.sender` is who it is from, whether it may pass or not. The route is
        `TOKEN_CALL` for a token call that is to get a placeholder. Such a path is
        never forwarded, so it is looked for among what is refused.
        """
        policy = self._policy
        if not peer.has_verdict(request.known, self.callers.generation):
            self._admit_headers(request, peer)
        try:
            policy.check_path(request.path)
        except ProxyError:
            if request.path in self._token_calls and request.method == TOKEN_CALL_METHOD:
                peer.sender.check_room()  # of no client, so that none can be forbidden
                return TOKEN_CALL
            raise
        route = self._router.match(request.path)
        if route is None:
            raise ProxyError(NO_ROUTE, "No [[routes]] entry of the configuration covers this path.")
        policy.check_method(request.method, route)
        peer.sender.check_may_send(route.client)
        return route

    def _admit_headers(self, request: Request, peer: Peer) -> None:
        """Check what does not depend on the request line: once for headers that are sent again."""
        peer.forget()
        policy = self._policy
        facts = request.headers.facts
        authority = request.authority
        if request.names_target and authority is not None:
            policy.check_target_authority(authority)
        elif authority is not None:
            policy.check_host(authority)
        origin = facts.get(b"origin")
        fetch_site = facts.get(b"sec-fetch-site")
        if origin is not None or fetch_site is not None:
            policy.check_browser(origin, fetch_site)
        callers = self.callers
        peer.note(request.known, callers.generation, callers.identify(facts, peer))
