"""An application, in its smallest form: it asks Signicat, and knows nothing of tokens.

Where the proxy wants to know who calls, `SIGNICAT_KEY_FILE` names the file of its key.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PAUSE_SECONDS = 5.0


def headers() -> dict[str, str]:
    """Return what says who calls: read each time, so that the key may be rotated."""
    file = os.environ.get("SIGNICAT_KEY_FILE")
    return {"Authorization": f"Bearer {Path(file).read_text().strip()}"} if file else {}


def ask(url: str) -> str:
    """Return one line that says what came back from `url`."""
    try:
        request = urllib.request.Request(url, headers=headers())
        with urllib.request.urlopen(request, timeout=70) as answer:
            return f"{answer.status} {answer.read(200).decode(errors='replace')}"
    except urllib.error.HTTPError as error:
        # Proxy-Status marks the proxy's own answers; all others are Signicat's.
        origin = "proxy" if error.headers.get("Proxy-Status") else "Signicat"
        with error:
            return f"{error.status} from {origin}: {error.read(500).decode(errors='replace')}"
    except OSError as error:
        return f"no answer: {error}"


def main() -> None:
    """Ask for ever."""
    url = sys.argv[1]
    while True:
        print(json.dumps({"url": url, "answer": ask(url)}), flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
