import json
import shutil

import pytest

from desk.studio import models


def test_the_embedded_model_is_the_default(monkeypatch):
    monkeypatch.delenv("HOLOCINE_MODEL", raising=False)
    model = models.find()
    assert model.theatre and model.name == "embedded" and model.steps >= 1


def test_several_models_can_be_offered_and_no_other_is_opened(tiny_model, monkeypatch):
    monkeypatch.setenv("HOLOCINE_MODEL", f"embedded, {tiny_model.name}")
    assert models.model_names() == ("embedded", tiny_model.name)
    assert not models.find(tiny_model.name).theatre
    with pytest.raises(ValueError, match="'/etc' is not offered"):
        models.find("/etc")


def test_a_model_of_another_family_is_none_for_a_desk(tiny_model, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny_model.facts.folder, tmp_path / "theirs")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"family": "echoshot"}))
    monkeypatch.setenv("HOLOCINE_MODEL", str(folder))
    with pytest.raises(ValueError, match="theirs is one of echoshot: take `python -m holocine generate`, or name"):
        models.find()


def test_one_model_is_held_at_a_time(tiny_model, monkeypatch):
    holder = models.ModelHolder()
    first = holder.take(tiny_model.name)
    assert holder.take(tiny_model.name) is first
    holder.clear()
    assert holder.take(tiny_model.name) is not first


def test_the_presets_of_the_environment_are_the_defaults_of_the_models_they_are_for(tiny_model, monkeypatch):
    monkeypatch.setenv("HOLOCINE_PRESET", "mixed, 80GB")
    model = models.find(tiny_model.name)
    assert model.steps == tiny_model.steps, "the published pair is not for this model"
    assert model.settings["drop_text_encoder"] and model.settings.get("distilled") is None
    monkeypatch.setattr("holocine.presets.EXPERTS", (2, 24))
    model = models.find(tiny_model.name)
    assert model.steps == 8 and model.facts.guided_steps(8, model.guidance) == 2
    assert model.settings["distilled"].startswith("lightx2v/")


def test_a_preset_is_loaded_with_the_model(tiny_model, monkeypatch):
    monkeypatch.setenv("HOLOCINE_PRESET", "80GB")
    holder = models.ModelHolder()
    pipeline = holder.take(tiny_model.name)
    assert pipeline.text_encoder is None and pipeline.dropped_text_encoder is not None


def test_an_unknown_preset_is_said(tiny_model, monkeypatch):
    monkeypatch.setenv("HOLOCINE_PRESET", "rapid")
    with pytest.raises(ValueError, match="HOLOCINE_PRESET: the preset 'rapid' is unknown"):
        models.find(tiny_model.name)
