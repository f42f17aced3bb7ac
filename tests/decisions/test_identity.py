"""Who a caller is, as a decision: keys, certificates, users, and what is remembered (I1, I2)."""

import hashlib

import pytest

from proxy.errors import CALLER_NOT_ALLOWED, CALLER_UNKNOWN, OVERLOADED, ErrorKind, ProxyError
from proxy.guard.identity import Identity, Peer
from proxy.guard.known_callers import KeyClashError, KnownCallers
from proxy.http1.request import KnownHead

KEY = b"a-key-of-the-test-0123456789-ABCDEF"
OTHER = b"another-key-of-the-test-0123456789-"
SPIFFE = "URI:spiffe://example.com/ns/billing/sa/default"
DNS = "DNS:shop.example.com"


def digest(key: bytes) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key).digest()


def callers() -> KnownCallers:
    """Return two callers: `shop` by key and DNS name, `billing` by URI and user."""
    known = KnownCallers(
        [Identity("shop", ["sign"], 2), Identity("billing")],
        certificates={DNS: "shop", SPIFFE: "billing"},
        users={1001: "billing"},
    )
    known.use_keys("shop", [digest(KEY)])
    return known


@pytest.mark.parametrize(
    ("uid", "names", "owner"),
    [
        (None, (), "none"),
        (None, (DNS,), "shop"),
        (None, (SPIFFE,), "billing"),
        (None, ("DNS:other.test", SPIFFE), "billing"),
        (None, (DNS, SPIFFE), "none"),
        (None, ("DNS:example.com",), "none"),
        (None, ("DNS:a.shop.example.com",), "none"),
        (None, ("DNS:*.example.com",), "none"),
        (None, (DNS.replace("DNS", "URI"),), "none"),
        (None, (SPIFFE.replace("URI", "DNS"),), "none"),
        (None, (SPIFFE + "/x",), "none"),
        (1001, (), "billing"),
        (1002, (), "none"),
        (0, (), "none"),
    ],
)
def test_what_a_connection_proves(uid: int | None, names: tuple[str, ...], owner: str) -> None:
    """Names are compared whole and with their kind; one that names two callers proves neither."""
    assert callers().peer("10.0.0.7", uid, names).own.name == owner


def test_a_key_wins_over_the_connection() -> None:
    """Whoever has the key is that caller; what is no key leaves it to the connection."""
    known = callers()
    peer = known.peer(None, 1001)
    key = {b"authorization": b"Bearer " + KEY}
    for _ in range(2):
        assert known.identify(key, peer).name == "shop"
        assert known.identify({b"authorization": b"Bearer " + OTHER}, peer).name == "billing"
        assert known.identify({}, peer).name == "billing"
    with pytest.raises(ProxyError) as caught:
        known.identify({}, known.peer(None))
    assert caught.value.kind is CALLER_UNKNOWN


def test_long_credentials_are_not_kept() -> None:
    """An idle connection holds a key for the next request, and no more than that (G11)."""
    known = callers()
    generation = known.generation
    for plain, is_kept in ((b"x" * 1500, True), (b"x" * 30_000, False), (None, True)):
        peer = known.peer(None)
        proxy = b"Bearer " + KEY
        facts = {b"proxy-authorization": proxy}
        if plain is not None:
            facts[b"authorization"] = plain
        for _ in range(2):
            assert known.identify(facts, peer).name == "shop"
        assert (peer.proved(plain, proxy, generation) is not None) == is_kept


def test_without_callers_everybody_is_nobody() -> None:
    """Nothing is looked at, and nothing is refused."""
    known = KnownCallers()
    assert known.identify({b"authorization": b"Bearer " + KEY}, known.peer(None)) is known.nobody
    assert known.statuses() == []


def test_each_change_of_a_key_is_a_new_generation() -> None:
    """What was remembered with the one before it counts no longer (I2)."""
    known = callers()
    peer, head = known.peer(None), KnownHead()
    head.is_kept = True
    peer.note(head, known.generation, known.callers["shop"])
    assert peer.has_verdict(head, known.generation)
    assert not peer.has_verdict(KnownHead(), known.generation)
    known.use_keys("shop", [digest(OTHER)])
    assert not peer.has_verdict(head, known.generation)


def test_the_key_of_another_is_not_put_into_force() -> None:
    """Nothing changes, not even the generation."""
    known = callers()
    before = known.generation
    with pytest.raises(KeyClashError) as caught:
        known.use_keys("billing", [digest(OTHER), digest(KEY)])
    assert str(caught.value) == "holds a key of the caller 'shop' too"
    assert known.generation == before
    with pytest.raises(ProxyError):
        known.identify({b"authorization": b"Bearer " + OTHER}, known.peer(None))


def test_remembered_credentials_count_for_their_bytes_peer_and_keys_alone() -> None:
    """Other bytes, the other header, another peer or other keys: it is looked at anew (I2)."""
    known = callers()
    peer, line = known.peer(None), b"Bearer " + KEY
    assert known.identify({b"authorization": line}, peer).name == "shop"
    others: list[tuple[dict[bytes, bytes], Peer]] = [
        ({b"authorization": line[:-1] + b"."}, peer),
        ({b"authorization": line + b", " + line}, peer),
        ({}, peer),
        ({}, known.peer(None)),
    ]
    for facts, who in others:
        with pytest.raises(ProxyError):
            known.identify(facts, who)
        assert known.identify({b"authorization": line}, peer).name == "shop"
    assert known.identify({b"proxy-authorization": line}, peer).name == "shop"
    known.use_keys("billing", [digest(OTHER)])
    both = {b"authorization": line, b"proxy-authorization": b"Bearer " + OTHER}
    with pytest.raises(ProxyError):
        known.identify(both, peer)
    known.use_keys("shop", [digest(KEY[::-1])])
    for facts in ({b"authorization": line}, {b"proxy-authorization": line}):
        with pytest.raises(ProxyError):
            known.identify(facts, peer)


def refusal(caller: Identity, client: str) -> ErrorKind | None:
    """Return why a caller may not send to a route of `client` now."""
    try:
        caller.check_may_send(client)
    except ProxyError as error:
        return error.kind
    return None


def test_what_a_caller_may_do() -> None:
    """Only routes of its clients, and only so many requests at a time."""
    known = callers()
    shop, billing = known.callers["shop"], known.callers["billing"]
    assert (refusal(shop, "auth"), refusal(billing, "auth")) == (CALLER_NOT_ALLOWED, None)
    for _ in range(2):
        assert refusal(shop, "sign") is None
        shop.begin()
        billing.begin()
    assert (refusal(shop, "sign"), refusal(billing, "sign")) == (OVERLOADED, None)
    shop.end()
    assert refusal(shop, "sign") is None
    assert [(one.name, one.in_flight, one.proof) for one in known.statuses()] == [
        ("shop", 1, "1 key, 1 certificate name"),
        ("billing", 2, "1 certificate name, 1 Unix user"),
    ]
