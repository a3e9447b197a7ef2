"""Which microphone, camera and loudspeaker a word means: a device, a file, or none.

A word is a number or a name, a file, `none`, or `default`. Nothing of PortAudio or OpenCV is touched unless a real
device is asked for.
"""

from __future__ import annotations

from pathlib import Path

from assistant.backends import Camera, Microphone, Speaker
from assistant.backends.files import FileMicrophone, FileSpeaker, NoMicrophone, SilentSpeaker
from assistant.backends.pictures import PictureCamera, open_files
from assistant.errors import DeviceError
from assistant.pacing import Clock

SOUNDS = frozenset(".wav .flac .ogg .oga .opus .mp3 .aif .aiff .au .w64 .caf".split())
"""a word that ends so is a file, whether it is there or not"""


def open_microphone(source: str | int | None, clock: Clock) -> Microphone:
    """The microphone that `source` names: a number or name, a sound file, `none`, or `default` (also None).

    Raises DeviceError or SourceError.
    """
    match _word(source):
        case "none":
            return NoMicrophone(clock)
        case str(name) if _is_file(name):
            return FileMicrophone(Path(name).expanduser(), clock)
        case device:
            from assistant.backends.sounddevice import Microphone as LiveMicrophone

            return LiveMicrophone(device, clock)


def open_camera(source: str | int | None, clock: Clock, folder_interval_s: float = 2.0, turned: int = 0) -> Camera:
    """The camera that `source` names: a number, an address, a picture, a video, a folder, `none`, or `default`.

    By default it is device 0, and none where there is no camera. `turned`: degrees clockwise (0, 90, 180, 270) that the
    pictures of devices and streams are turned by; files say so themselves. Raises DeviceError or SourceError.
    """
    match _word(source):
        case "none":
            return PictureCamera(())
        case int(number):
            return _live_camera(number, clock, turned)
        case None:
            try:
                return _live_camera(0, clock, turned)
            except DeviceError:
                return PictureCamera(())
        case str(address) if "://" in address:
            return _live_camera(address, clock, turned)
        case str(name):
            return open_files(Path(name).expanduser(), folder_interval_s)


def open_speaker(sink: str | int | None, clock: Clock) -> Speaker:
    """The loudspeaker that `sink` names: a number or name, a FILE.wav, `none`, or `default`.

    Raises DeviceError or OutputError.
    """
    match _word(sink):
        case "none":
            return SilentSpeaker(clock)
        case str(name) if name.lower().endswith(".wav"):
            return FileSpeaker(Path(name).expanduser(), clock)
        case device:
            from assistant.backends.sounddevice import Speaker as LiveSpeaker

            return LiveSpeaker(device, clock)


def without_echo(microphone: Microphone, speaker: Speaker, mode: str = "cancel") -> Microphone:
    """The microphone without what the loudspeaker says. `mode` is that of [echo]: cancel, half_duplex or none.

    Cancelling takes a loudspeaker that tells what it gave to the sound card (`given`) and a microphone in the same
    room; a recording (`in_room` is False) heard no loudspeaker of ours and is left as it is.
    """
    from assistant.echo import EchoFreeMicrophone, HalfDuplexMicrophone, Referring

    if mode == "half_duplex":
        return HalfDuplexMicrophone(microphone, speaker)
    if mode == "cancel" and isinstance(speaker, Referring) and getattr(microphone, "in_room", True):
        return EchoFreeMicrophone(microphone, speaker)
    return microphone


def _word(source: str | int | None) -> str | int | None:
    """A number, a word, or None for the default."""
    if source is None or isinstance(source, int):
        return source
    word = source.strip()
    if word.lower() in ("", "default"):
        return None
    if word.lower() == "none":
        return "none"
    return int(word) if word.isdecimal() else word


def _is_file(name: str) -> bool:
    path = Path(name).expanduser()
    return path.suffix.lower() in SOUNDS or path.exists()


def _live_camera(source: int | str, clock: Clock, turned: int) -> Camera:
    from assistant.backends.opencv import Camera as LiveCamera

    return LiveCamera(source, clock, turned)
