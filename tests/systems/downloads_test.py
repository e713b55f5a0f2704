"""Weights that are fetched: from a server here that cuts, lies, and is not there."""

import dataclasses
import errno
import hashlib
import http.server
import io
import os
import re
import shutil
import sys
import threading
import types
import zipfile

import jax
import numpy as np
import pytest

from gpsattn_jax import convert, pretrained
from gpsattn_jax.convert.pglsum import to_torch
from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.systems import downloads, named_networks, pglsum, run_files
from gpsattn_jax.systems.downloads import Remote, fetch, fetch_from_hub, split_hub
from tests import golden_pglsum

CONTENT = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Gives files by name; `cut` bytes an answer, with or without ranges."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.cut, self.ranges, self.asked = {}, None, True, []

    def address(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        content = server.files.get(self.path[1:].partition("?")[0])
        if content is None:
            self.send_error(404)
            return
        first = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        first = first if server.ranges else 0
        total = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if first >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", total)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first:][: server.cut])

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path / "cache"))
    for name in (downloads.MIRROR, downloads.OFFLINE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    found = Server()
    found.files["w.bin"] = CONTENT
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def files_below(tmp_path):
    """Of the cache, without locks."""
    found = [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    return sorted(p.name for p in found if p.suffix != ".lock")


def test_a_file_is_fetched_once(server, tmp_path, capsys):
    remote = Remote(address=server.address("w.bin?download=1"))
    path = fetch(remote)
    assert path.name == "w.bin" and path.read_bytes() == CONTENT
    assert f"w.bin: SHA-256 {SHA256}, kept for later." in capsys.readouterr().err
    assert fetch(remote) == path and len(server.asked) == 1
    assert files_below(tmp_path) == ["w.bin", "w.bin.sha256"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_is_cut_goes_on(server, ranges):
    server.cut, server.ranges = 300_000, ranges
    remote = Remote(address=server.address("w.bin"), sha256=SHA256)
    if ranges:
        assert fetch(remote).read_bytes() == CONTENT
        assert server.asked == [None, "bytes=300000-", "bytes=600000-"]
        return
    # Each try begins at the first byte: it never ends, and says so.
    with pytest.raises(OSError, match=r"cut off at 300,000 bytes, 5 times"):
        fetch(remote)
    server.cut = None
    assert fetch(remote).read_bytes() == CONTENT


def test_what_has_come_is_kept_for_the_next_call(server):
    server.cut = 100_000
    remote = Remote(address=server.address("w.bin"), sha256=SHA256)
    with pytest.raises(OSError, match=r"cut off at 500,000 bytes, 5 times"):
        fetch(remote)
    assert fetch(remote).read_bytes() == CONTENT
    assert server.asked[5] == "bytes=500000-"


def test_a_whole_part_needs_its_hash_alone(server):
    remote = Remote(address=server.address("w.bin"), sha256=SHA256)
    path = fetch(remote)
    path.rename(path.with_name("w.bin.part"))
    assert fetch(remote) == path
    assert server.asked[-1] == f"bytes={len(CONTENT)}-"


def test_a_wrong_hash_is_thrown_away(server, tmp_path):
    remote = Remote(address=server.address("w.bin"), sha256="0" * 64)
    with pytest.raises(ValueError, match=f"must have the SHA-256 .* got {SHA256}"):
        fetch(remote)
    assert files_below(tmp_path) == []


def test_a_wrong_size_is_told_before_it_comes(server, tmp_path):
    remote = Remote(address=server.address("w.bin"), size=5)
    with pytest.raises(ValueError, match=r"must have 5 bytes; got 700,000"):
        fetch(remote)
    assert files_below(tmp_path) == []


def test_another_file_than_at_the_first_use(server):
    remote = Remote(address=server.address("w.bin"))
    fetch(remote).unlink()
    server.files["w.bin"] = b"another one"
    with pytest.raises(ValueError, match="was kept at its first use"):
        fetch(remote)


def test_a_file_of_the_cache_that_was_damaged(server):
    remote = Remote(address=server.address("w.bin"))
    path = fetch(remote)
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: must have the SHA"):
        fetch(remote)


def test_a_file_that_is_not_there(server, tmp_path):
    address = server.address("nothing.bin")
    with pytest.raises(OSError, match=f"^{re.escape(address)}: HTTP 404 "):
        fetch(Remote(address=address))
    assert files_below(tmp_path) == []


def test_a_server_that_is_not_there(server, monkeypatch):
    monkeypatch.setattr(downloads, "TRIES", 2)
    address = server.address("w.bin")
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match=re.escape(address)):
        fetch(Remote(address=address))


def test_a_full_disk(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    remote = Remote(address=server.address("w.bin"))
    with monkeypatch.context() as patch:
        patch.setattr(downloads, "_progress", full)
        with pytest.raises(OSError, match="cannot be written: No space left on device"):
            fetch(remote)
    assert fetch(remote).read_bytes() == CONTENT


def test_offline_and_a_mirror(server, tmp_path, monkeypatch):
    monkeypatch.setenv(downloads.OFFLINE, "1")
    remote = Remote(address=server.address("w.bin"), sha256=SHA256)
    with pytest.raises(FileNotFoundError, match="Put w.bin into a folder"):
        fetch(remote)
    monkeypatch.setenv(downloads.MIRROR, str(tmp_path))
    (tmp_path / "w.bin").write_bytes(CONTENT)
    assert fetch(remote) == tmp_path / "w.bin" and not server.asked
    (tmp_path / "w.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="must have the SHA-256"):
        fetch(remote)


# The hub.


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("hf:me/net/w.safetensors", ("me/net", None, "w.safetensors")),
        ("hf:me/net@v1/a/w.safetensors", ("me/net", "v1", "a/w.safetensors")),
    ],
)
def test_names_of_the_hub(source, parts):
    assert split_hub(source) == parts


@pytest.mark.parametrize("source", ["hf:me", "hf:me/net", "hf:me/net@v1", "hf://w"])
def test_names_that_are_none(source):
    with pytest.raises(ValueError, match=r"^weights from the hub are hf:OWNER"):
        split_hub(source)


def test_the_hub_gives_a_file_that_is_compared(server, tmp_path, monkeypatch):
    asked, file = [], tmp_path / "w.safetensors"
    file.write_bytes(CONTENT)

    def download(*arguments, **options):
        asked.append((arguments, options))
        return str(file)

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    source = "hf:me/net@v1/w.safetensors"
    assert fetch_from_hub(source) == file
    options = {"revision": "v1", "local_files_only": False}
    assert asked == [(("me/net", "w.safetensors"), options)]
    file.write_bytes(b"another one")
    with pytest.raises(ValueError, match="was kept at its first use"):
        fetch_from_hub(source)


def test_an_error_of_the_hub_is_a_line(server, monkeypatch):
    def download(*_, **__):
        raise RuntimeError("401\nrestricted")

    hub = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    message = "hf:me/net/w.bin: RuntimeError: 401 restricted"
    with pytest.raises(OSError, match=f"^{re.escape(message)}$"):
        fetch_from_hub("hf:me/net/w.bin")


def test_without_the_hubs_package(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match="gpsattn-jax\\[hub\\]"):
        fetch_from_hub("hf:me/net/w.bin")


# By name, to the end.


def test_a_published_network_by_its_name(server, monkeypatch, tmp_path):
    """A small TransXNet under the official names stands for the release."""
    from gpsattn_jax.models import transxnet
    from gpsattn_jax.systems import transxnet as system

    config = transxnet.Config(
        depths=(1, 1), widths=(8, 16), num_heads=(1, 2), num_groups=(2, 2),
        kernel_sizes=(3, 3), reductions=(2, 1), mlp_ratios=(1, 1),
        remat=(False, False), image_size=32, num_classes=3,
    )  # fmt: skip
    network = transxnet.build(config)
    params, state = network.init(jax.random.key(0))
    convert.save(tmp_path / "transx-t.safetensors", params, state, config)
    content = (tmp_path / "transx-t.safetensors").read_bytes()
    server.files["transx-t.safetensors"] = content
    tiny = named_networks.PUBLISHED["transxnet-tiny"]
    here = Remote(address=server.address("transx-t.safetensors"))
    monkeypatch.setitem(
        named_networks.PUBLISHED,
        "transxnet-tiny",
        dataclasses.replace(tiny, remote=here),
    )
    run = pretrained.load("transxnet-tiny")
    assert run.config.model == config and run.class_names[2] == "class 2"
    assert run.config.data.mean == system.SETUPS["imagenet"].data.mean
    pixels = np.zeros((1, 32, 32, 3), np.float32)
    assert system.probabilities(run, pixels).shape == (1, 3)


def in_a_zip(**files):
    """A zip of files by their names, "__" for each slash."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return memory.getvalue()


def test_a_member_of_an_archive(server, tmp_path):
    server.files["w.zip"] = in_a_zip(nets__a__epoch_3=CONTENT, nets__b__epoch_5=b"b")
    server.cut = 300_000
    remote = Remote(address=server.address("w.zip"), member="nets/a")
    path = fetch(remote)
    assert path.read_bytes() == CONTENT and len(server.asked) == 3
    other = dataclasses.replace(remote, member="nets/b/epoch_5")
    assert fetch(other).read_bytes() == b"b" and fetch(remote) == path
    assert len(server.asked) == 3
    kept = ["nets-a", "nets-b-epoch_5", "w.zip", "w.zip.sha256"]
    assert files_below(tmp_path) == kept
    path.write_bytes(CONTENT[:-1] + b"?")  # what was unpacked is compared, too
    assert fetch(remote).read_bytes() == CONTENT


def test_an_archive_that_is_none_says_how_to_fetch_it_anew(server, tmp_path):
    remote = Remote(address=server.address("w.bin"), member="nets/a")
    with pytest.raises(ValueError, match="w.bin: not a readable zip .* remove ") as one:
        fetch(remote)
    folder = str(one.value).rpartition(" remove ")[2].rstrip(".")
    shutil.rmtree(folder)
    server.files["w.bin"] = in_a_zip(nets__a__epoch_3=b"a")
    assert fetch(remote).read_bytes() == b"a"


def test_a_released_pglsum_by_its_name(server, monkeypatch, tmp_path):
    """A small network under the official names stands for the released ones."""
    config = golden_pglsum.SMALL
    network, params, state = golden_pglsum.made_network(config)
    convert.save_torch(tmp_path / "w.npz", "pglsum", config, params, state)
    weights = (tmp_path / "w.npz").read_bytes()
    names = {
        f"pretrained_models__table{table}_models__{data}__split{split}__epoch-7.pkl": (
            weights if (table, data, split) == (4, "SumMe", 2) else b"another"
        )
        for table in (3, 4)
        for data in ("SumMe", "TVSum")
        for split in range(5)
    }
    server.files["pretrained_models.zip"] = in_a_zip(**names)
    here = server.address("pretrained_models.zip?download=1")
    for name, known in list(named_networks.PUBLISHED.items()):
        if known.system == "pglsum":
            remote = dataclasses.replace(known.remote, address=here)
            known = dataclasses.replace(known, remote=remote)
            monkeypatch.setitem(named_networks.PUBLISHED, name, known)
    small = dataclasses.replace(pglsum.SETUPS["summe"], model=config)
    monkeypatch.setitem(pglsum.SETUPS, "summe", small)
    run = pretrained.load("pglsum-summe-split2")
    assert run.config.data.split == 2 and run.config.protocol == "paper"
    assert run.step == 0 and len(server.asked) == 1
    jax.tree.map(np.testing.assert_array_equal, run.params, params)
    x = golden_pglsum.features(11, 16)
    video = Video("mine", np.asarray(x), np.arange(11) * 15, 165)
    found = pglsum.score_steps(run, [video])["mine"]
    weights = to_torch(config, params, state)
    expected = golden_pglsum.twin(config, weights, np.asarray(x, np.float64))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(ValueError, match="averaged weights are asked of a workdir"):
        pglsum.restore("pglsum-summe-split2", averaged=True)


def test_the_released_networks_are_of_the_papers_settings():
    released = [n for n, p in named_networks.PUBLISHED.items() if p.system == "pglsum"]
    assert len(released) == 20
    for name in released:
        known = named_networks.PUBLISHED[name]
        model = pglsum.SETUPS[known.setup].model
        assert (model.input_size, model.num_heads, model.num_segments) == (1024, 8, 4)
        assert (model.fusion, model.position) == ("add", "absolute")
        assert known.remote.member.endswith(f"split{known.split}")


def test_a_run_from_the_hub_by_its_name(server, monkeypatch, tmp_path):
    path = pretrained.available()["gsanet-digits"].path
    hub = types.SimpleNamespace(hf_hub_download=lambda *_, **__: str(path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    run = pretrained.load("hf:me/digits/gsanet-digits.safetensors")
    assert isinstance(run, run_files.TrainedRun) and len(run.class_names) == 10
