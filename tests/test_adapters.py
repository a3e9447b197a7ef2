"""LoRA adapters: a tiny one, made by peft on a tiny model, over that model and over what it is not for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from assistant.backends import Message, adapters
from assistant.backends.transformers import Transformers
from assistant.errors import EngineError, WeightsError

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")  # peft's own use of it
CHAT = [Message("user", "Hello?")]


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_seeing_mind(tmp_path_factory.mktemp("minds") / "tiny-smolvlm", "smolvlm")


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter with RANDOM weights, large enough to be noticed."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(0)
    model: Any = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    wrapped: Any = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    for name, weights in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weights, std=0.5)
    folder = tmp_path_factory.mktemp("adapter")
    wrapped.save_pretrained(str(folder))
    return folder


@pytest.fixture
def adapter(trained: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    for file in trained.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def settings(adapter: Path, **changed: Any) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))


def next_word(mind: Transformers) -> Any:
    prompt = mind._prompt(CHAT)
    return mind._reader.read(prompt, len(prompt.ids), never)


def test_an_adapter_changes_what_the_model_says_as_peft_has_it(base: Path, adapter: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    plain = Transformers(str(base), dtype="float32")
    mind = Transformers(str(base), dtype="float32", adapter=str(adapter))
    model: Any = PeftModel.from_pretrained(
        AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32), str(adapter)
    )
    with torch.inference_mode():
        theirs = model(input_ids=torch.tensor([mind._prompt(CHAT).ids])).logits[:, -1]
    assert float((next_word(mind) - theirs).abs().max()) < 1e-5
    assert float((next_word(plain) - theirs).abs().max()) > 1e-3


def test_beside_the_weights_it_says_the_same_as_merged(base: Path, adapter: Path) -> None:
    """As it is loaded over weights of 4 bits, which cannot be merged into without loss."""
    mind = Transformers(str(base), dtype="float32", adapter=str(adapter))
    other = Transformers(str(base), dtype="float32")
    other._model = adapters.adapted(other._model, str(base), str(adapter), merge=False)
    other._reader.forget()
    assert float((next_word(mind) - next_word(other)).abs().max()) < 1e-5


def test_one_that_fits_is_taken_whatever_its_model_was_called(base: Path, adapter: Path) -> None:
    expected = next_word(Transformers(str(base), dtype="float32", adapter=str(adapter)))
    for name in ("somebody/else", "C:\\models\\of another machine", None):
        settings(adapter, base_model_name_or_path=name)
        mind = Transformers(str(base), dtype="float32", adapter=str(adapter))
        assert float((next_word(mind) - expected).abs().max()) == 0


def reshaped(adapter: Path, change: Callable[[str, Any], tuple[str, Any]]) -> None:
    """An adapter with tensors of other names or shapes."""
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    save_file(dict(change(name, tensor) for name, tensor in load_file(file).items()), file, {"format": "pt"})


def test_one_for_a_wider_model_is_refused_with_the_name_that_it_gives(base: Path, adapter: Path) -> None:
    def wider(name: str, tensor: Any) -> tuple[str, Any]:
        import torch

        return name, torch.cat([tensor, tensor], 1) if "lora_A" in name else tensor

    reshaped(adapter, wider)
    settings(adapter, base_model_name_or_path="Qwen/Qwen3-VL-4B-Instruct")
    with pytest.raises(
        WeightsError,
        match=r"for 'Qwen/Qwen3-VL-4B-Instruct': (\d+) of its \1 layers do not fit, .* takes (\d+) to \d+ where the "
        r"model has \d+ to \d+; load it over its own model",
    ):
        Transformers(str(base), adapter=str(adapter))


def test_one_for_a_deeper_model_is_refused(base: Path, adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    deeper = {name.replace("layers.0.", "layers.40."): tensor.clone() for name, tensor in tensors.items()}
    save_file({**deeper, **tensors}, file, {"format": "pt"})
    with pytest.raises(WeightsError, match=r"layers do not fit, .*layers\.40\..* where the model has nothing; load it"):
        Transformers(str(base), adapter=str(adapter))


def test_one_whose_layers_go_by_other_names_is_told_so(base: Path, adapter: Path) -> None:
    reshaped(adapter, lambda name, tensor: (name.replace("q_proj", "query").replace("v_proj", "value"), tensor))
    with pytest.raises(WeightsError, match="missing adapter keys"):
        Transformers(str(base), adapter=str(adapter))


def test_a_folder_without_an_adapter_is_told_so(base: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"got no '.*adapter_config.json'; name the folder that peft wrote"):
        Transformers(str(base), adapter=str(tmp_path))


@pytest.mark.parametrize("content", ["{", "[]"])
def test_settings_that_cannot_be_read_are_told_so(base: Path, adapter: Path, content: str) -> None:
    (adapter / "adapter_config.json").write_text(content)
    with pytest.raises(WeightsError, match="wanted an adapter's settings"):
        Transformers(str(base), adapter=str(adapter))


def test_damaged_weights_are_told_so(base: Path, adapter: Path) -> None:
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(WeightsError, match=r"wanted the adapter .*; copy it anew, or train it on this model"):
        Transformers(str(base), adapter=str(adapter))


def test_weights_of_which_some_are_missing_are_told_so(base: Path, adapter: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(adapter / "adapter_model.safetensors")
    del tensors[min(tensors)]
    save_file(tensors, adapter / "adapter_model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match="missing adapter keys"):
        Transformers(str(base), adapter=str(adapter))


def test_weights_of_another_shape_are_told_so(base: Path, adapter: Path) -> None:
    settings(adapter, r=8)
    with pytest.raises(WeightsError, match="wanted the adapter"):
        Transformers(str(base), adapter=str(adapter))


def test_without_peft_the_extra_is_named(base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"got no peft to load it with; pip install 'assistant\[adapters\]'"):
        Transformers(str(base), adapter=str(adapter))
