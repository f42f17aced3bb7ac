"""An application, in its smallest form: it asks Signicat, and knows nothing of tokens."""

import json
import sys
import time
import urllib.error
import urllib.request

PAUSE_SECONDS = 5.0


def ask(url: str) -> str:
    """Return one line that says what came back from `url`."""
    try:
        with urllib.request.urlopen(url, timeout=70) as answer:
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
