"""A small Materials Project on loopback: the summary endpoint and the heartbeat, misbehaving on demand.

It answers as the real one does to mp_api 0.46: `/heartbeat` without a key, `/materials/summary/` with one, filters
(`has_props`, `chemsys`, `energy_above_hull_max`, `material_ids`), `_fields`, `_sort_fields`, pages by `_skip` and
`_limit`, `meta.total_doc`.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pymatgen.core import Lattice, Structure

KEY = "0123456789abcdefghijABCDEFGHIJ42"
LONGEST_PAGE = 1000
BOMB = gzip.compress(bytes(50_000_000))

Documents = list[dict[str, Any]]


class Server(ThreadingHTTPServer):
    """The server; what is to go wrong is written into its attributes.

    Attributes:
        database_version: what the heartbeat says; nothing where it is None.
        heartbeat_status: and the status it says it with.
        heartbeats: how many it sends before it accepts connections and says nothing.
        elsewhere: the address that the trouble "redirect" names.
        retry_after: how many seconds the trouble "asks to wait" names.
        total: how many documents it says there are; None says the truth.
        trouble: called with the parameters of each request to the summary; the name of what goes wrong, or None.
        requests: parameters of each request to the summary, in order.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, documents: Documents) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.documents = documents
        self.database_version: str | None = "2025.09.25"
        self.heartbeat_status = 200
        self.heartbeats = 10**9
        self.elsewhere = ""
        self.retry_after = 86400
        self.total: int | None = None
        self.hung_up = threading.Event()
        self.trouble: Callable[[dict[str, str]], str | None] = lambda parameters: None
        self.requests: list[dict[str, str]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that was killed and takes no answer."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def ids_sent(self) -> list[str]:
        """The ids of every document that was asked for by its id, request after request."""
        return [one for request in self.requests for one in request.get("material_ids", "").split(",") if one]


@contextmanager
def serving(documents: Documents) -> Iterator[Server]:
    server = Server(documents)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.hung_up.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parameters = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/heartbeat" and self.server.heartbeat_status == 200:
            self.server.heartbeats -= 1
            if self.server.heartbeats < 0:
                self.server.hung_up.wait()
                return
            version = {"db_version": self.server.database_version} if self.server.database_version else {}
            batches = {"access_controlled_batch_ids": ["gnome_r2scan_statics"]}
            self.reply(200, {"status": "OK", "version": "0.86.4", **version, **batches})
        elif url.path == "/materials/summary/":
            self.server.requests.append(parameters)
            self.summary(parameters, self.server.trouble(parameters))
        elif url.path == "/heartbeat" and self.server.heartbeat_status == 403:
            self.reply(403, {"message": "Forbidden"})
        else:
            self.reply(404, {"message": "no Route matched with those values"})

    def summary(self, parameters: dict[str, str], trouble: str | None) -> None:
        if trouble == "no route":
            self.reply(404, {"message": "no Route matched with those values"})
        elif trouble == "unauthorized" or not self.headers.get("x-api-key"):
            self.reply(401, {"message": "No API key found in request"})
        elif trouble == "forbidden" or self.headers["x-api-key"] != KEY:
            self.reply(403, {"message": f"Invalid authentication credentials: {self.headers['x-api-key']}"})
        elif trouble == "too many requests":
            self.reply(429, {"message": "API rate limit exceeded"})
        elif trouble == "server error":
            self.reply(500, {"detail": f"Internal Server Error while serving {self.headers['x-api-key']}"})
        elif trouble == "bad gateway":
            self.reply(502, {"message": "An invalid response was received from the upstream server"})
        elif trouble == "bad request":
            self.reply(400, {"detail": "Problem processing one or more provided chemsys values."})
        elif trouble == "no data":
            self.reply(200, {"detail": "come back later"})
        elif trouble == "redirect":
            self.reply(307, {}, headers={"Location": self.server.elsewhere})
        elif trouble == "asks to wait":
            self.reply(429, {"message": "slow down"}, headers={"Retry-After": str(self.server.retry_after)})
        elif trouble == "a list":
            self.reply(200, ["come back later"])
        elif trouble == "bomb":
            self.reply(200, BOMB, headers={"Content-Encoding": "gzip"})
        elif trouble == "redirect with a bomb":
            self.reply(307, BOMB, headers={"Content-Encoding": "gzip", "Location": self.server.endpoint})
        else:
            self.page(parameters, trouble)

    def page(self, parameters: dict[str, str], trouble: str | None) -> None:
        ids = set(parameters.get("material_ids", "").split(",")) - {""}
        listed = [document for document in self.server.documents if not ids or document["material_id"] in ids]
        matching = [document for document in listed if matches(document, parameters)]
        if "_sort_fields" in parameters:
            matching.sort(key=lambda document: document[parameters["_sort_fields"]])
        skip = int(parameters.get("_skip", 0))
        limit = min(int(parameters.get("_limit", 100)), LONGEST_PAGE)
        if trouble == "page repeats":
            skip = max(0, skip - limit)
        page = matching[skip : skip + limit]
        if trouble == "documents repeat":
            page = [page[0]] * len(page)
        fields = parameters.get("_fields", "material_id").split(",")
        if trouble == "no ids":
            fields.remove("material_id")
        data = [{field: document[field] for field in fields if field in document} for document in page]
        self.reply(
            200,
            {"data": data, "meta": {"total_doc": self.server.total or len(matching), "api_version": "0.86.4"}},
            trouble,
        )

    def reply(
        self, status: int, content: Any, trouble: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        if trouble == "truncated":
            body = body[: len(body) // 2]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if trouble == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif trouble == "drip":
            for place in range(len(body)):
                if self.server.hung_up.wait(0.02):
                    return
                self.wfile.write(body[place : place + 1])
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


def matches(document: dict[str, Any], parameters: dict[str, str]) -> bool:
    """Whether a document passes the filters of a request, other than ids."""
    properties = parameters.get("has_props")
    if properties and not all(document["has_props"].get(one) for one in properties.split(",")):
        return False
    if document["energy_above_hull"] > float(parameters.get("energy_above_hull_max", "inf")):
        return False
    systems = parameters.get("chemsys")
    return not systems or any(in_chemsys(document["elements"], system) for system in systems.split(","))


def in_chemsys(elements: list[str], system: str) -> bool:
    parts = system.split("-")
    if "*" in parts:
        return len(elements) == len(parts) and all(part in elements for part in parts if part != "*")
    return sorted(parts) == sorted(elements)


CORNER_AND_CENTRE = [[0.0] * 3, [0.5] * 3]


def face_centred(length: float) -> Lattice:
    """Primitive cell of the face-centred cubic lattice of an edge, Å."""
    half = length / 2
    return Lattice([[0, half, half], [half, 0, half], [half, half, 0]])


def crystals() -> Documents:
    """166 summary documents of cubic crystals.

    Each of 80 rocksalts comes with a CsCl-type polymorph of higher energy; two rocksalts are blown up until their atoms
    are alone, and two entries have no band structure. Every third formula is a metal. Some documents have no formation
    energy, and some others no density.
    """
    cations = ["Li", "Na", "K", "Rb", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd"]
    anions = ["O", "S", "Se", "Te", "F", "Cl", "Br", "I"]
    documents: Documents = []
    pairs = [(cation, anion) for cation in cations for anion in anions]
    for number, (cation, anion) in enumerate(pairs):
        gap = 0.0 if number % 3 == 0 else 0.5 + number / 20
        length = 12.0 if number in (7, 11) else 5.0 + number / 100
        caesium = Structure(Lattice.cubic(3.3 + number / 100), [cation, anion], CORNER_AND_CENTRE)
        rocksalt = Structure(face_centred(length), [cation, anion], CORNER_AND_CENTRE)
        documents.append(summary(f"mp-{2 * number + 9}", caesium, gap + 0.1 * (gap > 0), 0.1))
        documents.append(summary(f"mp-{2 * number + 10}", rocksalt, gap, number % 5 / 50))
    tetrahedral = [("Si", "Si", 5.431, 0.61), ("Ge", "Ge", 5.658, 0.0), ("C", "C", 3.567, 4.1), ("Si", "Ge", 5.54, 0.6)]
    for number, (first, second, length, gap) in enumerate(tetrahedral):
        diamond = Structure(face_centred(length), [first, second], [[0.0] * 3, [0.25] * 3])
        documents.append(summary(f"mp-{1000 + number}", diamond, gap, 0.02 * (first != second)))
    for number, element in enumerate(["Fe", "Cu"]):
        metal = Structure(Lattice.cubic(2.8), [element], [[0.0] * 3])
        documents.append(summary(f"mp-{1010 + number}", metal, 0.0, 0.0) | {"has_props": {"bandstructure": False}})
    for document in documents[5::40]:
        document.pop("formation_energy_per_atom")
    for document in documents[7::40]:
        document.pop("density")
    return documents[::-1]  # the real server keeps no order either


def many_crystals() -> Documents:
    """1,266 documents, more than one page of ids: the crystals and 1,100 polymorphs of theirs, all of higher energy."""
    few = [document for document in crystals() if document["has_props"]["bandstructure"]]
    return crystals() + [
        few[number % len(few)] | {"material_id": f"mp-{20000 + number}", "energy_above_hull": 0.3 + number / 1e4}
        for number in range(1100)
    ]


def summary(material_id: str, structure: Structure, band_gap: float, energy_above_hull: float) -> dict[str, Any]:
    """What the Materials Project says of an entry, as far as it matters here."""
    return {
        "material_id": material_id,
        "formula_pretty": structure.composition.reduced_formula,
        "elements": sorted({site.specie.symbol for site in structure}),
        "structure": structure.as_dict(),
        "energy_above_hull": energy_above_hull,
        "formation_energy_per_atom": energy_above_hull - 1.5,
        "band_gap": band_gap,
        "density": float(structure.density),
        "has_props": {"bandstructure": True},
    }
