"""Where an extra is missing, the hint names what this copy came from."""

import pytest

from proxy.extras import requirement

WHEEL = "file://localhost/wheels/signicat_proxy-1.0.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("origin", "hint"),
    [
        (None, "'signicat-proxy[jwt]'"),
        (f'{{"url": "{WHEEL}", "archive_info": {{}}}}', f"'signicat-proxy[jwt] @ {WHEEL}'"),
        (
            '{"url": "file://localhost/wheels/my%20clone", "dir_info": {"editable": true}}',
            "'signicat-proxy[jwt] @ file://localhost/wheels/my%20clone'",
        ),
        (
            '{"url": "https://git.example/x", "vcs_info": {"vcs": "git", "commit_id": "0a1b"}}',
            "'signicat-proxy[jwt] @ git+https://git.example/x@0a1b'",
        ),
        (
            '{"url": "https://me:s3cret@proxy.example/w.whl", "archive_info": {}}',
            "'signicat-proxy[jwt] @ https://proxy.example/w.whl'",
        ),
        (
            '{"url": "file://localhost/it\'s", "dir_info": {}}',
            "'signicat-proxy[jwt] @ file://localhost/it'\"'\"'s'",
        ),
    ],
    ids=["index", "wheel", "folder", "repository", "with a password", "an apostrophe"],
)
def test_what_to_install_is_what_was_installed(origin: str | None, hint: str) -> None:
    """The same wheel, folder or commit; the name alone is enough for what an index has."""
    assert requirement("jwt", origin) == hint
