"""`cohmap weights`: fetching, importing and listing; and what a config.yaml says, as far as it is understood."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models import registry, weights
from models.coherence.residual_unet import ResidualUNetEstimator
from models.decibels import DecibelRange
from models.errors import ModelError
from models.published_config import read_config
from models.resunet import CHANNELS, ResidualUNet
from pipeline.errors import CohmapError
from pipeline.weights import CONFIG, MODEL, fetch_weights
from tests.conftest import Answer, Command
from tests.hub_server import COMMIT, Hub, serving
from tests.keras_files import SMALL, keras_layers, random_network, write_config, write_numbered

REPOSITORY = "FPSica/beyond-backscatter-grd-gee"


@pytest.fixture(scope="module")
def network() -> ResidualUNet:
    return random_network(channels=CHANNELS)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, network: ResidualUNet) -> Path:
    """A folder with the two files that the authors publish; the weights in them are random."""
    folder = tmp_path_factory.mktemp("published")
    write_numbered(folder / MODEL, keras_layers(network))
    write_config(folder / CONFIG)
    return folder


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's weights folder, empty."""
    monkeypatch.setenv("COHMAP_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def hub(published: Path) -> Iterator[Hub]:
    with serving(Hub(REPOSITORY, {name: (published / name).read_bytes() for name in (MODEL, CONFIG)})) as running:
        yield running


def require_sentence(answer: Answer, *parts: str) -> None:
    assert answer.code == 2
    assert answer.err.startswith("cohmap: ")
    assert answer.err.count("\n") == 1
    for part in parts:
        assert part in answer.err


def record(origin: str = "here") -> weights.Record:
    return weights.Record(SMALL, DecibelRange(), 128, 32, origin, "")


def test_import_converts_and_says_how_it_read_the_config(
    cohmap: Command, published: Path, store: Path, network: ResidualUNet
) -> None:
    answer = cohmap("weights", "import", str(published / MODEL), str(published / CONFIG))
    assert (answer.code, answer.err) == (0, "")
    assert "read from config.yaml: low -20 (preprocessing.clip_db), high 0" in answer.out
    assert f"the weights are in {store}/beyond-backscatter.safetensors" in answer.out
    imported = weights.load("beyond-backscatter")
    assert imported.record.scale == DecibelRange(-20.0, 0.0, 1e-6)
    assert imported.record.config == (published / CONFIG).read_text()
    for name, tensor in network.state_dict().items():
        assert torch.equal(imported.state[name], tensor)


@pytest.mark.usefixtures("store")
def test_keys_are_printed_as_they_are(cohmap: Command, published: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", "'[/red]': 1\n" + "".join(f"key{n}: 1\n" for n in range(30)))
    answer = cohmap("weights", "import", str(published / MODEL), str(config))
    assert answer.code == 0
    assert "kept for the record: [/red], key0, key1, " in answer.out
    assert "key18 and 11 more" in answer.out


@pytest.mark.parametrize(
    ("model", "config", "name", "parts"),
    [
        ("none.h5", CONFIG, "mine", ("none.h5 can't be read: No such file",)),
        (CONFIG, CONFIG, "mine", ("config.yaml is no HDF5 file",)),
        (MODEL, "none.yaml", "mine", ("none.yaml can't be read: ", "No such file")),
        (MODEL, MODEL, "mine", ("model.weights.h5", "1 MiB")),
        (MODEL, CONFIG, "log-moments", ("'log-moments' is an estimator that takes no weights; give another --name",)),
        (MODEL, CONFIG, "../mine", ("'../mine' is no name for weights; take lower-case letters",)),
    ],
)
def test_what_cant_be_imported_leaves_nothing_behind(
    cohmap: Command, published: Path, store: Path, model: str, config: str, name: str, parts: tuple[str, ...]
) -> None:
    answer = cohmap("weights", "import", str(published / model), str(published / config), "--name", name)
    require_sentence(answer, *parts)
    assert not list(store.glob("**/*"))


def test_a_folder_that_cant_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("COHMAP_WEIGHTS", str(tmp_path / "file/weights"))
    with pytest.raises(ModelError, match=r"can't be written to .*file/weights \(Not a directory\); name another"):
        weights.save("mine", random_network().state_dict(), record())


def test_without_a_folder_of_ones_own_the_cache_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COHMAP_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.folder() == tmp_path / "cohmap/weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.folder() == Path.home() / ".cache/cohmap/weights"


@pytest.mark.usefixtures("store")
def test_the_same_import_gives_the_same_bytes() -> None:
    state = random_network().state_dict()
    files = [weights.save(name, state, record()).read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]


@pytest.mark.usefixtures("store")
def test_the_digest_tells_weights_and_input_ranges_apart_but_not_comments() -> None:
    state = random_network().state_dict()
    other = weights.Record(SMALL, DecibelRange(low=-25.0), 128, 32, "here", "")
    weights.save("a", state, record())
    weights.save("b", state, record("elsewhere"))
    weights.save("c", random_network(seed=1).state_dict(), record())
    weights.save("d", state, other)
    digests = [weights.load(name).digest for name in "abcd"]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}", None])
def test_a_damaged_file_is_told_in_one_sentence(cohmap: Command, store: Path, content: bytes | None) -> None:
    path = weights.save("beyond-backscatter", random_network().state_dict(), record())
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(ModelError, match=r"^weights \S+ can't be used \(.*\); delete them and import"):
        registry.get("beyond-backscatter")
    assert str(store) in cohmap("weights", "list").out


@pytest.mark.usefixtures("store")
def test_weights_of_another_network_are_told_in_one_sentence() -> None:
    weights.save("beyond-backscatter", torch.nn.Linear(2, 2).state_dict(), record())
    with pytest.raises(ModelError, match="don't fit the network"):
        registry.get("beyond-backscatter")


def test_list_says_what_there_is_or_how_to_get_some(cohmap: Command, store: Path) -> None:
    assert f"there are no weights in {store}; `cohmap weights fetch beyond-backscatter` gets some" in (
        cohmap("weights", "list").out.replace("\n", " ")
    )
    weights.save("mine", random_network().state_dict(), record("trained at home"))
    (store / "broken.safetensors").write_bytes(b"")
    out = cohmap("weights", "list").out
    assert "-20 to 0 dB" in out
    assert "trained at home" in out
    assert "not usable" in out


@pytest.mark.usefixtures("store")
def test_estimators_tells_which_one_needs_weights(cohmap: Command) -> None:
    assert "needs `cohmap weights fetch" in cohmap("estimators").out
    weights.save("beyond-backscatter", random_network().state_dict(), record())
    weights.save("mine", random_network().state_dict(), record())
    out = cohmap("estimators").out
    assert "needs" not in out.split("beyond-backscatter", 1)[1]
    assert "mine" in out


@pytest.mark.usefixtures("store")
def test_fetch_downloads_both_files_of_one_commit_and_imports_them(hub: Hub, tmp_path: Path) -> None:
    fetch_weights("beyond-backscatter", endpoint=hub.url, cache=tmp_path / "hub")
    loaded = weights.load("beyond-backscatter")
    assert loaded.record.origin == f"https://huggingface.co/{REPOSITORY} at {COMMIT}"
    assert [request for request in hub.requests if request.startswith("GET")] == [
        f"GET /{REPOSITORY}/resolve/main/{CONFIG}",
        f"GET /{REPOSITORY}/resolve/{COMMIT}/{MODEL}",
    ]
    assert isinstance(registry.get("beyond-backscatter"), ResidualUNetEstimator)


@pytest.mark.parametrize(
    ("repository", "files", "gated", "revision", "sentence"),
    [
        ("somebody/else", {}, False, "main", "there is no such repository, or it is not public"),
        (REPOSITORY, {}, True, "main", "its authors ask for their terms to be accepted"),
        (REPOSITORY, {}, False, "v9", "it has no revision 'v9'"),
        (REPOSITORY, {}, False, "main", "it has no file of that name at revision 'main'"),
        (REPOSITORY, {CONFIG: b"{}"}, False, "main", f"{MODEL} of {REPOSITORY} on the Hugging Face hub can't be"),
        (REPOSITORY, {CONFIG: b"{}", MODEL: b"<html>"}, False, "main", "is no HDF5 file (it begins with b'<html>')"),
    ],
)
def test_what_the_hub_doesnt_give_is_told_in_one_sentence(
    tmp_path: Path,
    store: Path,
    repository: str,
    files: dict[str, bytes],
    gated: bool,  # noqa: FBT001
    revision: str,
    sentence: str,
) -> None:
    with serving(Hub(repository, files, gated)) as hub, pytest.raises(CohmapError) as caught:
        fetch_weights("beyond-backscatter", revision=revision, endpoint=hub.url, cache=tmp_path / "hub")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not store.exists()


@pytest.mark.parametrize(
    ("offline", "sentence"),
    [("0", "there is no such repository"), ("1", "the hub can't be reached; try again later, or download both files")],
)
def test_the_command_listens_to_the_settings_of_the_hubs_client(tmp_path: Path, offline: str, sentence: str) -> None:
    with serving(Hub("somebody/else", {})) as hub:
        settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": offline}
        answer = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", "weights", "fetch", "beyond-backscatter"],
            env={**os.environ, **settings},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
    require_sentence(Answer(answer.returncode, answer.stdout, answer.stderr), sentence)
    assert bool(hub.requests) == (offline == "0")


def test_another_name_is_not_for_fetching(cohmap: Command) -> None:
    require_sentence(cohmap("weights", "fetch", "log-moments"), "only beyond-backscatter", "cohmap weights import")


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("clip_db: [-25, 5]", DecibelRange(-25.0, 5.0)),
        ("data: {sar: {db_min: -22.5, db_max: 1, eps: 1e-6}}", DecibelRange(-22.5, 1.0, 1e-6)),
        ("preprocessing: {clip: {low: -30, high: -1}, epsilon: 1.0e-5}", DecibelRange(-30.0, -1.0, 1e-5)),
        ("normalization: {VV: {minDb: -21, maxDb: 0}, VH: {minDb: -30, maxDb: -5}}", DecibelRange(-21.0, 0.0)),
        ("clip_range: ['-18', '2']", DecibelRange(-18.0, 2.0)),
    ],
)
def test_ranges_are_understood_under_many_names(tmp_path: Path, text: str, scale: DecibelRange) -> None:
    assert read_config(write_config(tmp_path / "config.yaml", text)).scale == scale


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "model: {batch_norm: {epsilon: 1.0e-4}, eps: 1.0e-4}",  # BatchNorm's
        "optimizer: {epsilon: 1.0e-7, clip: [-1, 1]}",
        "clip: [0.01, 1.0]",  # linear power, or what is scaled
        "clip_db: [-20, 0, 5]",
        "clip_db: [-20, .nan]",
        "clip_db: true",
        "db_range: wide",
        "coherence: {clip: [-1, 1]}",
        "db: [[-20, 0]]",
    ],
)
def test_what_is_something_else_leaves_the_published_range_and_says_so(tmp_path: Path, text: str) -> None:
    config = read_config(write_config(tmp_path / "config.yaml", text))
    assert config.scale == DecibelRange()
    assert (
        "not said in config.yaml and assumed: a range of -20 to 0 dB, 1e-10 added before the logarithm" in config.notes
    )


def test_patches_are_understood_and_the_rest_is_named_and_kept(tmp_path: Path) -> None:
    text = "inference: {patch_size: [64, 64], patch_stride: 16, window: kaiser}\nseed: 7\n"
    config = read_config(write_config(tmp_path / "config.yaml", text))
    assert (config.patch, config.stride, config.text) == (64, 16, text)
    assert config.notes[-1] == "not understood in config.yaml, kept for the record: inference.window, seed"


BOMB = "a0: &a0 {k: 1, l: 2}\n" + "".join(
    f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- 1\n- 2\n", "no table of settings"),
        ("", "no table of settings"),
        ("a: [1", "not valid YAML (while parsing a flow sequence"),
        ("a: !!python/object/apply:os.system ['true']", "not valid YAML (could not determine a constructor"),
        ("a: " + "[" * 500, "not valid YAML"),
        (BOMB, "more than 10000 settings"),
        ("a: &a {b: 1, c: *a}", "assumed"),
        ("clip_db: [-20, -30]", "-20 to -30 is no range in dB"),
        ("clip_db: [-20, 0]\ndb_range: [-25, 0]", "several values for one thing (clip_db = -20, db_range = -25)"),
        ("eps: 2", "eps = 2 is no small power"),
        ("a: 2023-13-45", "not valid YAML"),
    ],
)
def test_a_config_that_cant_be_used_is_told_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = write_config(tmp_path / "config.yaml", text)
    try:
        said = " ".join(read_config(path).notes)  # a table within itself is no harm
    except ModelError as error:
        said = str(error)
        assert said.startswith(f"config {path}: ")
    assert "\n" not in said
    assert sentence in said
