"""Voices of coqui-tts of the real shapes with random weights: each a folder with `config.json` and `model.pth`.

VITS has the library's own defaults, which its `tts_models/en/ljspeech/vits` and `en/vctk/vits` were trained with
(https://github.com/coqui-ai/TTS, recipes/ljspeech/vits_tts and recipes/vctk/vits); XTTS is built as the `config.json`
of https://huggingface.co/coqui/XTTS-v2 says. They read letters, where the real ones read phonemes or pieces of words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPEAKERS = 109
"""of VCTK"""
XTTS: dict[str, Any] = {
    "gpt_max_audio_tokens": 605,
    "gpt_max_text_tokens": 402,
    "gpt_max_prompt_tokens": 70,
    "gpt_layers": 30,
    "gpt_n_model_channels": 1024,
    "gpt_n_heads": 16,
    "gpt_number_text_tokens": 6681,
    "gpt_num_audio_tokens": 1026,
    "gpt_start_audio_token": 1024,
    "gpt_stop_audio_token": 1025,
    "gpt_use_perceiver_resampler": True,
    "decoder_input_dim": 1024,
    "d_vector_dim": 512,
}
"""the `model_args` of XTTS-v2 that differ from the library's, or make the shape"""
CODES = 108
"""A random XTTS never ends: it is cut after about the 5 s that a speaker takes for a sentence, of 22,050 / 1024 codes
a second. Nothing but its table of positions is smaller for it."""
_ENDS = -1e4
"""a score that no code with it is ever drawn"""


def vits_model(speakers: Path | None = None, **shape: Any) -> Any:
    """A VITS of 22 kHz; `speakers` is the file of their names, `shape` what differs from the library's defaults.

    Durations come from the plain predictor: untrained, the stochastic one draws them without bounds.
    """
    from assistant.backends.no_torchaudio import stand_in

    with stand_in():
        from TTS.tts.configs.shared_configs import BaseAudioConfig
        from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
        from TTS.tts.models.vits import Vits

    told = {"init_discriminator": False, "use_sdp": False, "length_scale": 2.0, **shape}
    config = VitsConfig(
        model_args=VitsArgs(
            use_speaker_embedding=speakers is not None, speakers_file=str(speakers) if speakers else None, **told
        ),
        audio=BaseAudioConfig(sample_rate=22_050, hop_length=256, win_length=1024, do_trim_silence=False),
        text_cleaner="english_cleaners",
        use_phonemes=False,
        phoneme_language="en-us",
    )
    return Vits(config)


def random_vits(folder: Path, speakers: int = 0, **shape: Any) -> Path:
    """A VITS that reads letters, and says each for about 45 ms, with so many `speakers`; `shape` as in `vits_model`."""
    import torch

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    model = vits_model(named_speakers(folder / "speakers.pth", speakers) if speakers else None, **shape)
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    model.config.save_json(str(folder / "config.json"))
    return folder


def named_speakers(file: Path, count: int) -> Path:
    """A file of so many speakers' names, as coqui-tts keeps them."""
    import torch

    torch.save({f"speaker {i}": i for i in range(count)}, file)
    return file


def xtts_model(**shape: Any) -> Any:
    """An XTTS-v2 that reads letters; `shape` is what differs from XTTS."""
    from assistant.backends.hub import quiet
    from assistant.backends.no_torchaudio import stand_in

    with stand_in():
        from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
        from TTS.tts.models.xtts import Xtts

    told = {**XTTS, **shape}
    model = Xtts(XttsConfig(model_args=XttsArgs(**told), languages=["en"]))
    model.tokenizer.tokenizer = _letters(told["gpt_number_text_tokens"])
    with quiet():  # it remarks on tokens that are never asked for
        model.init_models()
    return model


def random_xtts(folder: Path, **shape: Any) -> Path:
    """An XTTS with one speaker, who says CODES codes of any text; `shape` as for `xtts_model`."""
    import torch

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    model = xtts_model(
        **{"gpt_max_audio_tokens": CODES + 3, **shape}
    )  # three of them are for its beginning and its end
    args = model.args
    model.gpt.mel_head.bias.data[args.gpt_stop_audio_token] = _ENDS
    model.tokenizer.tokenizer.save(str(folder / "vocab.json"))
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    voice = {
        "gpt_cond_latent": torch.randn(1, 32, args.gpt_n_model_channels),
        "speaker_embedding": torch.randn(1, args.d_vector_dim, 1),
    }
    torch.save({"random": voice}, folder / "speakers_xtts.pth")
    model.config.save_json(str(folder / "config.json"))
    return folder


def _letters(size: int) -> Any:
    """A tokenizer of `size` tokens that reads letters; the words that fill it up are never read."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]"]
    words = [*marks, *"abcdefghijklmnopqrstuvwxyz.,"]
    words += [f"w{i}" for i in range(size - len(words))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    core.add_special_tokens(marks)
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return core
