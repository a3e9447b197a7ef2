"""What the doctor sees of the machine: the camera's picture, the GPU with its libraries, the disk.

The judgement of a picture is pure. Knows no engine.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assistant.doctor.finding import Finding, failed
from assistant.errors import AssistantError
from assistant.events import Image
from assistant.pacing import Clock
from assistant.seeing.judging import blank, brightness, sharpness, thumbnail

if TYPE_CHECKING:
    from assistant.config import Config
    from assistant.models import StoreSettings

DARK = 0.04
"""mean brightness, 0 to 1: a covered lens or a dark room"""
BLURRED = 3.0
"""sharpness of a picture about 640 pixels wide; of 31 photographs none had less, and 24 of them once blurred by 8
pixels"""
WIDTH = 640
FIRST_S = 6.0
"""a camera may take so long to its first picture"""
ROOM_BYTES = 1_000_000_000
"""free space beside the weights: pictures of a long talk, and a download's parts"""


def camera_finding(image: Image | None) -> Finding:
    """What a picture says of the camera; None where there is none."""
    if image is None:
        return Finding("camera", False, "there is none", "plug one in, or show it a picture: --camera photo.jpg")
    height, width = image.shape[:2]
    small = thumbnail(image)
    found = f"{width}x{height}, brightness {100 * brightness(small):.0f} %"
    sharp = sharpness(_narrowed(image))
    if brightness(small) < DARK:
        return Finding("camera", False, f"{found}: black", "open its shutter, or switch on a light")
    if blank(small, sharp):
        return Finding("camera", False, f"{found}: nothing is to be seen", "take away what covers it")
    if sharp < BLURRED:
        return Finding("camera", False, f"{found}: blurred ({sharp:.1f})", "wipe its lens, or focus it")
    return Finding("camera", True, f"{found}, sharp ({sharp:.1f})")


def _narrowed(image: Image) -> Image:
    """The picture about WIDTH pixels wide, by means of whole blocks of pixels."""
    step = max(1, image.shape[1] // WIDTH)
    height, width = (size // step * step for size in image.shape[:2])
    blocks = image[:height, :width].reshape(height // step, step, width // step, step, 3)
    return blocks.mean(axis=(1, 3), dtype=np.float32).astype(np.uint8)


def camera(config: Config) -> Finding:
    """Open the camera and judge its first picture. Raises nothing of ours."""
    from assistant.backends.devices import open_camera

    source = config.camera.source
    if source == "none":
        return Finding("camera", True, "none is wanted")
    try:
        opened = open_camera(source, Clock(), config.camera.folder_interval_s, config.camera.turned)
    except AssistantError as error:
        return failed("camera", error)
    try:
        until = time.monotonic() + FIRST_S
        while (frame := opened.frame(0.0)) is None and time.monotonic() < until and hasattr(opened, "name"):
            time.sleep(0.05)
        return camera_finding(frame.image if frame is not None else None)
    except AssistantError as error:
        return failed("camera", error)
    finally:
        opened.close()


@dataclass(frozen=True, slots=True)
class Gpu:
    """What is there of a GPU. `torch` and `cuda`: versions, the latter None for a build without; `name`: what PyTorch
    would use, empty for nothing; `driver`: NVIDIA's is installed; `failure`: what a sum on it raised.
    """

    torch: str
    cuda: str | None = None
    driver: bool = False
    name: str = ""
    failure: str = ""


def gpu_finding(seen: Gpu) -> Finding:
    """Whether the GPU can be used, if there is one."""
    if seen.failure:
        advice = "install a torch that is built for this GPU, or set CUDA_VISIBLE_DEVICES= to do without it"
        return Finding("gpu", False, f"{seen.name}, torch {seen.torch}: it fails with '{seen.failure}'", advice)
    if seen.name:
        return Finding("gpu", True, f"{seen.name}, torch {seen.torch}")
    if seen.driver and seen.cuda is None:
        found = f"an NVIDIA driver, but torch {seen.torch} is built without CUDA"
        return Finding("gpu", False, found, "pip install --force-reinstall torch from an index that has CUDA builds")
    if seen.driver:
        found = f"an NVIDIA driver, but torch {seen.torch} finds no GPU"
        return Finding("gpu", False, found, f"install a driver that knows CUDA {seen.cuda}")
    return Finding("gpu", True, "none: everything runs on the processor")


def gpu() -> Finding:
    """Look for a GPU that PyTorch can use, and try it with a sum."""
    import torch

    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    seen = Gpu(str(torch.__version__), torch.version.cuda, driver)
    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        seen = replace(seen, name=f"{device.name}, {device.total_memory / 2**30:.0f} GiB")
    elif torch.backends.mps.is_available():
        seen = replace(seen, name="Apple's GPU")
    if seen.name:
        try:
            torch.ones(8, device="cuda" if torch.cuda.is_available() else "mps").sum().item()
        except RuntimeError as error:
            seen = replace(seen, failure=str(error).splitlines()[0])
    return gpu_finding(seen)


def disk(settings: StoreSettings) -> Finding:
    """Whether there is room where the weights lie."""
    folder = settings.kept_in()
    there = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    return disk_finding(shutil.disk_usage(there).free, folder)


def disk_finding(free: int, folder: Path) -> Finding:
    """What so many free bytes in the folder of the weights say."""
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if free < ROOM_BYTES:
        return Finding("disk", False, found, "make room, or keep weights elsewhere: [models] folder")
    return Finding("disk", True, found)
