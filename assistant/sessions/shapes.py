"""Models of the real shapes with RANDOM weights: their speed is true, and their words and voices mean nothing.

For measuring engines where weights are not to be had. The same call makes the same model. Sources of the shapes:
Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022, table 1, and the checkpoints of
`openai-whisper`; the defaults of coqui-tts, which are those of its `tts_models/en/ljspeech/vits`.
"""

from __future__ import annotations

from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from assistant.errors import ConfigError

WHISPERS = {
    "tiny": (80, 384, 6, 4, 4, 51_865),
    "base": (80, 512, 8, 6, 6, 51_865),
    "small": (80, 768, 12, 12, 12, 51_865),
    "medium": (80, 1024, 16, 24, 24, 51_865),
    "large-v3": (128, 1280, 20, 32, 32, 51_866),
    "turbo": (128, 1280, 20, 32, 4, 51_866),
}
"""name -> bands, width, heads, layers of the encoder and of the decoder, tokens"""


def random_checkpoint(name: str, file: Path) -> Path:
    """A Whisper checkpoint (`.pt`) of the shape of `name`, a key of WHISPERS. Raises ConfigError for another name."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    if name not in WHISPERS:
        near = get_close_matches(name, WHISPERS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(WHISPERS)}"
        raise ConfigError(f"wanted the shape of a Whisper, got '{name}'; {hint}")
    bands, width, heads, hears, says, tokens = WHISPERS[name]
    torch.manual_seed(0)
    model = Whisper(ModelDimensions(bands, 1500, width, heads, hears, tokens, 448, width, heads, says))
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.02)  # left as found memory by Whisper
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": asdict(model.dims), "model_state_dict": model.state_dict()}, file)
    return file


def random_vits(folder: Path) -> Path:
    """A VITS voice (`config.json`, `model.pth`) of 22 kHz that reads letters, and says each for about 45 ms.

    Durations come from the plain predictor: untrained, the stochastic one draws them without bounds.
    """
    import torch

    from assistant.backends.no_torchaudio import stand_in

    with stand_in():
        from TTS.tts.configs.shared_configs import BaseAudioConfig
        from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
        from TTS.tts.models.vits import Vits

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    config = VitsConfig(
        model_args=VitsArgs(init_discriminator=False, use_sdp=False, length_scale=2.0),
        audio=BaseAudioConfig(sample_rate=22_050, hop_length=256, win_length=1024, do_trim_silence=False),
        text_cleaner="english_cleaners",
        use_phonemes=False,
        phoneme_language="en-us",
    )
    model = Vits(config)
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    model.config.save_json(str(folder / "config.json"))
    return folder
