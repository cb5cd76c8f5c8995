"""The training file: whatever is wrong with it is told with the file, the key and the value."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.errors import ModelError
from models.train.config import read_config
from models.train.networks import build

WHOLE = 'name = "mine"\nsteps = 100\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_a_short_file_says_enough(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, WHOLE + "[network]\nchannels = [8, 12, 16]\n"))
    assert (config.name, config.steps, config.network.channels) == ("mine", 100, (8, 12, 16))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = "mine"', "key 'steps' is missing; add it"),
        (WHOLE + "stepps = 3", "unknown key 'stepps' = 3; take it out"),
        (WHOLE + "[pool]\nshard = 3", "unknown key 'pool.shard' = 3; take it out"),
        ('name = "My run"\nsteps = 1', "'name' = 'My run' is not usable: string should match pattern"),
        (WHOLE + "batch = 0", "'batch' = 0 is not usable: input should be greater than or equal to 1"),
        (WHOLE + "rate = 0.0", "'rate' = 0.0 is not usable: input should be greater than 0"),
        (WHOLE + "rate = nan", "'rate' = nan is not usable: input should be a finite number"),
        (WHOLE + 'side = "wide"', "'side' = 'wide' is not usable: input should be a valid integer"),
        (WHOLE + "side = 24", "'side' = 24 is not usable: input should be a multiple of 16"),
        (WHOLE + "side = 16", "'side' = 16 is not usable: input should be greater than or equal to 32"),
        (WHOLE + "average = 1.0", "'average' = 1.0 is not usable: input should be less than 1"),
        (WHOLE + "side = 128\n[pool]\nsize = 96", "side = 128 is not usable: scenes have pool.size = 96 pixels"),
        (
            WHOLE + "[network]\nchannels = [8, 12]",
            r"network.channels = \[8, 12\] has 2 levels, so encoder needs 2 numbers and decoder 1, not \[1, 1, 2\] and",
        ),
        (WHOLE + "[network]\nchannels = [8, 0, 16]", "'network.channels.1' = 0 is not usable: input should be greater"),
        (
            WHOLE + "side = 48\n[network]\nchannels = [4, 4, 4, 4]\nencoder = [1, 1, 1, 1]\ndecoder = [1, 1, 1]",
            "side = 48 is not usable: a network of 4 levels takes multiples of 32 pixels",
        ),
        (
            WHOLE
            + "[network]\nchannels = [4, 4, 4, 4]\nencoder = [1, 1, 1, 1]\ndecoder = [1, 1, 1]\n[pool]\nsize = 144",
            "pool.size = 144 is not usable: a network of 4 levels takes multiples of 32 pixels",
        ),
        (WHOLE + '[network]\nkind = "transformer"', "'network.kind' = 'transformer' is not usable: input should be"),
        ("name = ", "is not valid TOML: "),
    ],
)
def test_a_mistake_is_told_with_file_key_and_value(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ModelError, match=sentence) as refused:
        read_config(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_examples_of_a_folder_may_have_any_size(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, WHOLE + 'side = 512\n[pool]\nfolder = "pairs"\n'))
    assert config.side == 512


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no training file"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ModelError, match="can't be read: Is a directory"):
        read_config(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="is not valid TOML"):
        read_config(path)


def test_the_published_layout_is_trained_on_the_same_examples(tmp_path: Path) -> None:
    network = build(read_config(written(tmp_path, WHOLE + '[network]\nkind = "resunet"\n')).network)
    images = torch.full((1, 2, 32, 32), -2.0)
    nothing = torch.zeros(1, 2, 32, 32)
    coherence, log_variance = network(images, nothing, torch.tensor([0]), torch.tensor([10.0]))
    assert coherence.shape == log_variance.shape == (1, 1, 32, 32)
