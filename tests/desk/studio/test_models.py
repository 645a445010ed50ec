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


def test_one_model_is_held_at_a_time(tiny_model, monkeypatch):
    holder = models.ModelHolder()
    first = holder.take(tiny_model.name)
    assert holder.take(tiny_model.name) is first
    holder.clear()
    assert holder.take(tiny_model.name) is not first
