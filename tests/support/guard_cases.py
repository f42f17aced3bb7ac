"""What the guard of both ports refuses and what it lets in, as header lines (G2, G3)."""

from typing import Final

__all__ = ["ALLOWED_ORIGIN", "FOREIGN", "WELCOME"]

# The one origin that the settings of these tests list.
ALLOWED_ORIGIN: Final = "http://good.test"
FOREIGN: Final = [
    (["Host: evil.test"], 421, "host_not_allowed"),
    (["Host: localhost.evil.test"], 421, "host_not_allowed"),
    (["Host: localhost."], 421, "host_not_allowed"),
    (["Host: 0.0.0.0:8081"], 421, "host_not_allowed"),
    (["Host: 10.1.2.3:8081"], 421, "host_not_allowed"),
    (["Host: localhost@evil.test"], 400, "bad_request"),
    (["Host: localhost, localhost"], 400, "bad_request"),
    (["Host:"], 400, "bad_request"),
    (["Host: localhost", "Origin: http://evil.test"], 403, "origin_not_allowed"),
    (["Host: localhost", "Origin: http://localhost:8081"], 403, "origin_not_allowed"),
    (["Host: localhost", "Origin: null"], 403, "origin_not_allowed"),
    (["Host: localhost", "Origin:"], 403, "origin_not_allowed"),
    (["Host: localhost", "Origin: http://good.test:81"], 403, "origin_not_allowed"),
    (["Host: localhost", *["Origin: http://good.test"] * 2], 403, "origin_not_allowed"),
    (["Host: localhost", "Sec-Fetch-Site: cross-site"], 403, "origin_not_allowed"),
    (["Host: localhost", "Sec-Fetch-Site: same-site"], 403, "origin_not_allowed"),
    (["Host: localhost", "Sec-Fetch-Site:"], 403, "origin_not_allowed"),
    (["Host: localhost", *["Sec-Fetch-Site: none"] * 2], 403, "origin_not_allowed"),
]
WELCOME: Final = [
    ["Host: localhost"],
    ["Host: LOCALHOST:1"],
    ["Host: [::1]:8081"],
    ["Host: localhost", "Sec-Fetch-Site: none"],
    ["Host: localhost", "Sec-Fetch-Site: same-origin"],
    ["Host: localhost", "Origin: http://good.test"],
    ["Host: localhost", "Origin: http://good.test", "Sec-Fetch-Site: cross-site"],
]
