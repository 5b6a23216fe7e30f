"""Downloading the published models, from a server of our own that also misbehaves."""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers import SHARED, needs_shared

from bandgaps.errors import InputError, RunError
from bandgaps.structure import published

GAP = published.MODELS["Bandgap_MP_2018"]


def archive(**others: bytes) -> bytes:
    """An archive as the authors lay it out, of real files where there are any, with others in it."""
    real = SHARED / "megnet-weights" / GAP
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for suffix in ("", ".json"):
            content = real.with_name(real.name + suffix).read_bytes() if real.exists() else b"weights" + suffix.encode()
            file.writestr(f"mvl_models/{GAP}{suffix}", content)
        for name, content in others.items():
            file.writestr(name, content)
    return buffer.getvalue()


class Server(ThreadingHTTPServer):
    """Gives `content` as the path asks for it, and counts the requests."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.requests = content, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        content = self.server.content
        half = content[: len(content) // 2]
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(half if self.path == "/half" else content)))
        self.end_headers()
        self.wfile.write(half if self.path in ("/half", "/cut") else content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(archive())
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def test_a_model_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    first = published.fetch("Bandgap_MP_2018", tmp_path, f"{server.url}/models.zip")
    assert first == tmp_path / GAP
    assert published.fetch("Bandgap_MP_2018", tmp_path, f"{server.url}/models.zip") == first
    assert server.requests == 1
    with zipfile.ZipFile(io.BytesIO(server.content)) as content:
        assert first.read_bytes() == content.read(f"mvl_models/{GAP}")
        assert published.config_path(first).read_bytes() == content.read(f"mvl_models/{GAP}.json")


@needs_shared
def test_a_downloaded_model_predicts(server: Server, tmp_path: Path) -> None:
    from some_crystals import crystals, predicted

    from bandgaps.structure import model_files

    model = model_files.load("Bandgap_MP_2018", tmp_path, f"{server.url}/models.zip")
    assert predicted(model, crystals())[0] == pytest.approx(0.97761, abs=1e-4)


@pytest.mark.parametrize("path", ["/half", "/cut", "/missing"])
def test_a_failed_download_says_what_to_do(server: Server, tmp_path: Path, path: str) -> None:
    with pytest.raises(RunError, match=r"band_gap_regression\.hdf5\.json from it into .*mp-2018\.6\.1 by hand"):
        published.fetch("Bandgap_MP_2018", tmp_path, server.url + path)
    assert not list(tmp_path.rglob("*.*df5*"))
    published.fetch("Bandgap_MP_2018", tmp_path, f"{server.url}/models.zip")


def test_without_a_network_the_error_says_what_to_do(server: Server, tmp_path: Path) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(RunError, match=r"127\.0\.0\.1.*try again, or put band_gap_regression\.hdf5"):
        published.fetch("Bandgap_MP_2018", tmp_path, url)


def test_an_archive_without_the_model_says_so(server: Server, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"holds no mp-2019\.4\.1/efermi\.hdf5"):
        published.fetch("Efermi_MP_2019", tmp_path, server.url)


def test_an_archive_writes_nowhere_but_where_it_should(server: Server, tmp_path: Path) -> None:
    evil = {f"../{GAP}x": b"x", f"/{tmp_path}/absolute": b"x", "mvl_models/other.hdf5": b"x", f"../../{GAP}": b"evil"}
    server.content = archive(**evil)
    published.fetch("Bandgap_MP_2018", tmp_path / "here" / "models", server.url)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"here/models/{GAP}", f"here/models/{GAP}.json"}


def test_files_put_there_by_hand_are_used(tmp_path: Path) -> None:
    path = tmp_path / GAP
    path.parent.mkdir()
    path.write_bytes(b"by hand")
    published.config_path(path).write_text("{}")
    assert published.fetch("Bandgap_MP_2018", tmp_path, "http://127.0.0.1:9/none") == path


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Bandgap_MP_2017.*Bandgap_MP_2018.*logG_MP_2019"):
        published.fetch("Bandgap_MP_2017", tmp_path)
