"""What all tests share.

Hypothesis without a deadline, because the first example of a kernel compiles it; a local server that serves files well
or badly; folders that stand in for a user's; and backbones so narrow that a test of them is quick.
"""

import http.server
import signal
import threading

import numba
import pytest
from hypothesis import settings

from minicnn import random

settings.register_profile("minicnn", deadline=None)  # the first example of a kernel compiles it
settings.load_profile("minicnn")


def pytest_configure():
    """Ctrl-C is heard even if the shell that put this run into the background had it ignored, as scripts' shells do."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=1000, help="how often the long test of training kills its run")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What takes minutes is slow, too, so that `pytest -m "not slow"` is the short loop, and may take its time."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(autouse=True)
def all_threads():
    """What a test runs on one thread leaves the next test all of them."""
    yield
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


@pytest.fixture
def own_random_streams():
    """All random streams begin at seed 0, and go on afterwards as if nothing had been drawn."""
    state = random.get_state()
    random.manual_seed(0)
    yield
    random.set_state(state)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        behaviour, _, name = self.path.strip("/").partition("/")
        self.server.requests.append((behaviour, name))
        content = self.server.files.get(name)
        if behaviour.isdigit() or content is None:
            self.send_error(int(behaviour) if behaviour.isdigit() else 404)
            return
        if behaviour == "corrupt":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(200)
        # "short" says how much it should be and stops half way; "cut" does not even say so.
        self.send_header("Content-Length", str(len(content) // 2 if behaviour == "cut" else len(content)))
        self.end_headers()
        if behaviour in ("short", "cut", "stall"):
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if behaviour == "stall":
                self.server.released.wait(20)
            return
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` (name -> bytes) under BEHAVIOUR/name: well, corrupt, short, cut, stall, or a status as 403."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.requests = {}, []
        self.released = threading.Event()

    def source(self, behaviour):
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/"


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def unplugged(monkeypatch, tmp_path):
    """No MINICNN_DATA, and a cache folder of our own."""
    import pooch

    monkeypatch.delenv("MINICNN_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "minicnn"


def narrow_settings(name):
    """Settings with which the backbone `name` is narrow and, where it would be deep, shallow."""
    if name.startswith("vgg"):
        return {"width": 0.0625, "stem": "small", "dropout": 0.0}
    if name == "googlenet":
        return {"width": 0.125, "stem": "small", "dropout": 0.0}
    if name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
        return {"width": 4, "stem": "small", "blocks": (1, 2, 1, 1)}
    return {"width": 4, "blocks": 2} if name.startswith("resnet") else {}


@pytest.fixture
def narrow():
    """narrow(name, **settings) -> settings, those given before those that make the backbone narrow."""
    return lambda name, **given: narrow_settings(name) | given
