"""The URLs that a browser is sent back to: the application's, with what the mock adds to them."""

from urllib.parse import quote

__all__ = ["with_parameter"]


def with_parameter(url: str, name: str, value: str | None) -> str:
    """Return a URL, letter for letter, with a parameter added to its query; as it was without one.

    >>> with_parameter("https://shop.example/ok?a=b#top", "externalReference", "order 17")
    'https://shop.example/ok?a=b&externalReference=order%2017#top'
    """
    if not value:
        return url
    front, mark, fragment = url.partition("#")
    joint = "" if front.endswith(("?", "&")) else "&" if "?" in front else "?"
    return f"{front}{joint}{name}={quote(value, safe='')}{mark}{fragment}"
