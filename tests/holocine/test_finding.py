"""What a model's name stands for: a folder, a hub id, or a mistake that is said at once."""

import re
import socket
import time

import pytest

from holocine.errors import CheckpointError
from holocine.finding import find_model, is_on_hub
from holocine.hub import hub_problem


@pytest.fixture
def shelf(work, monkeypatch):
    """A working folder with two models below models/, where asking the hub is a fault."""

    def asked(*_, **__):
        raise AssertionError("the hub was asked")

    for name in ("echoshot", "cinetrans"):
        (work / "models" / name).mkdir(parents=True)
        (work / "models" / name / "model_index.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(work / "hub"))
    monkeypatch.setattr("holocine.finding.hub_problem", asked)
    return work


def refusal(name: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        find_model(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["models/echoshott", "./models/echoshott", "models/EchoShot/", "echoshot", "ecoshot"])
def test_a_mistyped_folder_is_refused_at_once_with_names_like_it(shelf, name):
    assert refusal(name).endswith("did you mean models/echoshot?")


def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(shelf):
    assert refusal("models/longlive").endswith(
        "there is no such folder here; there is models/cinetrans, models/echoshot"
    )
    assert "neither a folder here nor a hub id" in refusal("../nowhere/at/all")
    (shelf / "Wan-AI").mkdir()
    assert "`hf download Wan-AI/Wan2.2 --local-dir Wan-AI/Wan2.2`" in refusal("Wan-AI/Wan2.2")


def test_a_folder_of_models_is_none(shelf):
    assert refusal("models") == "models is a folder of models: name one of them, models/cinetrans, models/echoshot"


def test_a_system_s_name_is_not_part_of_a_model(shelf):
    assert "a model is the folder alone: models/echoshot" in refusal("holocine@models/echoshot")


def test_a_hub_id_is_one_unless_its_owner_is_a_folder_here(shelf):
    assert is_on_hub("Wan-AI/Wan2.2-T2V-A14B-Diffusers") and not is_on_hub("models/anything")
    (shelf / "owner").mkdir()
    assert not is_on_hub("owner/model")
    cached = shelf / "hub" / "models--owner--model"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0" * 40)
    (cached / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (cached / "snapshots" / ("0" * 40) / "model_index.json").write_text("{}")
    assert is_on_hub("owner/model"), "what was downloaded before is there"


def test_without_a_network_a_hub_id_fails_quickly_in_one_sentence(work, monkeypatch):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        hub = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(work / "hub"))
        assert hub_problem().startswith(f"{hub} cannot be reached")
        begun = time.monotonic()
        said = refusal("someone/something")
        assert time.monotonic() - begun < 20, "its own library tries for a minute"
    assert re.search(rf"the hub did not give it \({hub} cannot be reached.*: check the name, or where there is", said)
