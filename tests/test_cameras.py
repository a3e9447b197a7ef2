"""Pictures, videos, streams and devices as cameras: the right frame at the right time, and clear words for bad ones."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from assistant.backends import Camera
from assistant.backends.devices import open_camera
from assistant.backends.opencv import Camera as LiveCamera
from assistant.backends.pictures import LONGEST_PX, PictureCamera, Video, VideoCamera, open_files, read_picture
from assistant.errors import DeviceError, SourceError
from assistant.events import Frame, Image
from assistant.pacing import Clock, run

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)


def plain(colour: tuple[int, int, int], width: int = 64, height: int = 48) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def save(path: Path, image: Image, **options: Any) -> Path:
    Pillow.fromarray(image).save(path, **options)
    return path


def film(path: Path, frames: int, fps: float = 20.0, codec: str = "MJPG") -> Path:
    """A video whose frame i has the grey value 40 + 4 * i, with a red strip on the left."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        image = np.full((48, 64, 3), 40 + 4 * min(i, 50), np.uint8)
        image[:, :16] = RED[::-1]
        writer.write(image)
    writer.release()
    return path


def number(frame: Frame | None) -> int:
    """Which frame of `film` it is."""
    assert frame is not None
    assert frame.image.shape == (48, 64, 3)
    assert frame.image.dtype == np.uint8
    red, _, blue = frame.image[:, 2:12].reshape(-1, 3).mean(axis=0)
    assert red > 150 > 80 > blue  # red first
    return round((float(frame.image[:, 32:, 1].mean()) - 40) / 4)


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_they_say(tmp_path: Path, orientation: int) -> None:
    upright = plain(GREEN, 60, 40)
    upright[:20, :30] = RED  # red in the top left corner
    upright[20:, 30:] = BLUE
    undo = [None, None, 0, 3, 1, 5, 2, 6, 4][orientation]  # Pillow's transpositions
    stored = Pillow.fromarray(upright)
    stored = stored if undo is None else stored.transpose(Pillow.Transpose(undo))
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "a.png"), upright)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "LA", "I;16"])
def test_every_kind_of_pixel_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        Pillow.fromarray(np.full((48, 64), 200 * 257, np.uint16)).save(path)
    else:
        Pillow.fromarray(plain((200, 200, 200) if mode != "1" else (255, 255, 255))).convert(mode).save(path)
    image = read_picture(path)
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    assert abs(float(image.mean()) - (255 if mode == "1" else 200)) < 3


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    image = np.zeros((10, 20, 4), np.uint8)
    image[:, :10] = (200, 0, 0, 255)
    Pillow.fromarray(image).save(tmp_path / "a.png")
    seen = read_picture(tmp_path / "a.png")
    assert np.array_equal(seen[0, 0], (200, 0, 0))
    assert np.array_equal(seen[0, 19], (255, 255, 255))


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_huge_picture_is_fine(tmp_path: Path, name: str) -> None:
    Pillow.new("L", (12_000, 8_000), 90).save(tmp_path / name)  # above the size that Pillow warns of
    image = read_picture(tmp_path / name)
    assert max(image.shape) <= LONGEST_PX
    assert image.shape[1] / image.shape[0] == pytest.approx(1.5, abs=0.01)
    assert abs(int(image[100, 100, 1]) - 90) < 5


def test_a_folder_shows_its_pictures_in_order_and_holds_the_last(tmp_path: Path) -> None:
    for name, colour in (("b.jpg", GREEN), ("a.PNG", RED), ("c.webp", BLUE)):
        save(tmp_path / name, plain(colour))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("nor this")
    camera = open_files(tmp_path, 2.0)
    seen = [camera.frame(at_s) for at_s in (0.0, 1.99, 2.0, 3.0, 4.5, 100.0, 2.5)]
    camera.close()
    colours = [int(f.image[0, 0].argmax()) for f in seen if f]
    assert colours == [0, 0, 1, 1, 2, 2, 1]
    assert [f.at_s for f in seen if f] == [0, 0, 2, 2, 4, 4, 2]
    assert seen[0] is seen[1]  # the same view is the same frame


def test_a_picture_camera_shows_each_picture_from_its_time_on(tmp_path: Path) -> None:
    camera = PictureCamera([(1.0, plain(RED)), (3.0, save(tmp_path / "a.png", plain(BLUE)))])
    assert camera.frame(0.5) is None
    for at_s, colour, since in ((1.0, RED, 1.0), (2.9, RED, 1.0), (3.0, BLUE, 3.0), (9.0, BLUE, 3.0)):
        frame = camera.frame(at_s)
        assert frame is not None
        assert np.array_equal(frame.image[0, 0], colour)
        assert frame.at_s == since
    camera.close()


def test_real_photographs(shared: Path) -> None:
    camera = open_files(shared / "data" / "images", 1.0)
    photographs = sorted((shared / "data" / "images").glob("*.jpg"))
    for i, path in enumerate(photographs[:5]):
        frame = camera.frame(i + 0.5)
        assert frame is not None
        with Pillow.open(path) as picture:
            assert sorted(frame.image.shape[:2]) == sorted(picture.size)
        assert frame.image.std() > 10
    camera.close()


# ---------------------------------------------------------------- videos


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mkv", "mp4v")])
def test_video_frames_appear_at_their_own_times(tmp_path: Path, name: str, codec: str) -> None:
    video = Video(film(tmp_path / name, 50, 20.0, codec))
    for at_s in (0.0, 0.02, 0.051, 0.06, 0.5001, 1.0001, 2.201, 2.46):
        frame = video.advance(at_s)
        assert number(frame) == int(at_s * 20)
        assert frame.at_s == pytest.approx(int(at_s * 20) / 20, abs=1e-3)
    held = video.advance(3600.0)
    assert number(held) == 49
    assert number(video.advance(0.701)) == 14  # back
    assert number(video.advance(0.0)) == 0
    video.close()


def test_a_video_camera_says_the_same_at_either_pace(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", 30, 20.0)

    async def main() -> list[int]:
        clock, camera = Clock(), VideoCamera(path)
        clock.start()
        numbers = []
        for i in range(5):
            at_s = 0.3 * i + 0.02
            await clock.until(at_s)
            numbers.append(number(camera.frame(at_s)))
        camera.close()
        return numbers

    assert run(main(), fast=True) == run(main(), fast=False) == [0, 6, 12, 18, 24]
    assert not [t for t in threading.enumerate() if t.name == "assistant-video"]


def test_at_real_pace_a_video_is_decoded_before_it_is_asked_for(tmp_path: Path) -> None:
    async def main() -> int:
        clock, camera = Clock(), VideoCamera(film(tmp_path / "a.avi", 100, 50.0))
        clock.start()
        camera.frame(0.0)
        grabbed = 0
        while grabbed < 25:  # nobody asks, the thread goes on
            await asyncio.sleep(0.01)
            grabbed = camera._video._count
            assert clock.now_s() < 10
        camera.close()
        return grabbed

    assert run(main(), fast=False) >= 25


def test_at_real_pace_a_camera_never_starts_again_for_a_clock_that_fell_behind(tmp_path: Path) -> None:
    async def main() -> None:
        clock, camera = Clock(), VideoCamera(film(tmp_path / "a.avi", 100, 50.0))
        clock.start()
        camera.frame(0.0)
        while camera._video.reached_s < 0.4:
            await asyncio.sleep(0.01)
            assert clock.now_s() < 10
        frame, grabbed = camera.frame(0.1), camera._video._count
        camera.close()
        assert frame is not None and frame.at_s >= 0.4
        assert grabbed >= 20
        again = camera._video.advance(0.1)
        camera._video.close()
        assert again.at_s <= 0.1, "who reads a video at no pace may go back"

    run(main(), fast=False)


def test_real_videos(shared: Path) -> None:
    videos = sorted((shared / "data" / "video").glob("*.mp4"))
    assert videos
    for path in videos:
        video = Video(path)
        last = 0.0
        for at_s in np.arange(0, 16, 0.5):
            frame = video.advance(float(at_s))
            assert last <= frame.at_s <= at_s
            assert frame.at_s > at_s - 0.1 or at_s > 4
            last = frame.at_s
        assert last > 4
        video.close()


# ---------------------------------------------------------------- bad ones


def missing(folder: Path) -> Path:
    return folder / "missing.png"


def zero_picture(folder: Path) -> Path:
    (folder / "zero.png").touch()
    return folder / "zero.png"


def zero_video(folder: Path) -> Path:
    (folder / "zero.mp4").touch()
    return folder / "zero.mp4"


def text_as_picture(folder: Path) -> Path:
    (folder / "letter.jpg").write_text("dear reader")
    return folder / "letter.jpg"


def text_as_video(folder: Path) -> Path:
    (folder / "letter.mkv").write_text("dear reader\n" * 50)
    return folder / "letter.mkv"


def cut_picture(folder: Path) -> Path:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    path = save(folder / "cut.jpg", noise)
    path.write_bytes(path.read_bytes()[:5000])
    return path


def cut_video(folder: Path) -> Path:
    path = film(folder / "cut.mp4", 30, codec="mp4v")
    path.write_bytes(path.read_bytes()[:200])
    return path


def empty_folder(folder: Path) -> Path:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "notes.txt").write_text("none here")
    return folder / "pictures"


BAD = [missing, zero_picture, zero_video, text_as_picture, text_as_video, cut_picture, cut_video, empty_folder]


@pytest.mark.parametrize("make", BAD)
def test_a_bad_picture_is_one_clear_line(
    tmp_path: Path, make: Callable[[Path], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    capfd.readouterr()
    with pytest.raises(SourceError) as told:
        open_camera(str(path), Clock())
    line = str(told.value)
    assert line.startswith("wanted ")
    assert str(path) in line
    assert "; " in line
    assert "\n" not in line
    assert capfd.readouterr() == ("", "")


def test_a_broken_picture_later_in_a_folder_is_told_when_its_time_comes(tmp_path: Path) -> None:
    save(tmp_path / "a.png", plain(RED))
    cut_picture(tmp_path)
    camera = open_camera(str(tmp_path), Clock(), 1.0)
    assert camera.frame(0.5) is not None
    with pytest.raises(SourceError, match=r"cut\.jpg"):
        camera.frame(1.5)
    camera.close()


# ---------------------------------------------------------------- devices and streams


def test_no_camera_is_none_by_default_and_an_error_when_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    nothing = open_camera("none", clock)
    assert nothing.frame(1.0) is None
    nothing.close()
    with pytest.raises(DeviceError, match=r"^wanted camera 99, it cannot be opened; .*--camera none$"):
        open_camera("99", clock)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(bool(list(Path("/dev").glob("video*"))), reason="this machine has a camera")
def test_the_default_camera_is_none_where_there_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    camera = open_camera("default", Clock())
    assert camera.frame(0.0) is None
    camera.close()
    assert capfd.readouterr() == ("", "")


class _Stream(BaseHTTPRequestHandler):
    """An MJPEG stream of 20 frames a second: frame i has the grey value 40 + 4 * i."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        due = time.monotonic()
        for i in range(51):
            image = np.full((48, 64, 3), 40 + 4 * min(i, 50), np.uint8)
            image[:, :16] = RED[::-1]
            data = cv2.imencode(".jpg", image)[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            try:
                self.wfile.write(head + data + b"\r\n")
            except OSError:  # the camera was closed
                return
            due += 0.05
            self.server.ended.wait(max(0.0, due - time.monotonic()))  # type: ignore[attr-defined]  # set below

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def stream(port: int = 0) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", port), _Stream) as server:
        server.daemon_threads = True
        server.ended = threading.Event()  # type: ignore[attr-defined]  # for the handler
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/camera"
        finally:
            server.ended.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()


async def _next(camera: Camera, clock: Clock, after: int, within_s: float = 15.0) -> Frame:
    """The first frame behind number `after`."""
    while clock.now_s() < within_s:
        frame = camera.frame(clock.now_s())
        if frame is not None and number(frame) > after:
            return frame
        await asyncio.sleep(0.005)
    raise AssertionError(f"no frame after number {after}")


def test_a_stream_gives_its_newest_frame_on_the_audio_clock() -> None:
    async def main() -> None:
        clock = Clock()
        clock.start()
        with stream() as address:
            camera = open_camera(address, clock)
            assert isinstance(camera, LiveCamera)
            first = await _next(camera, clock, -1)
            await asyncio.sleep(1.0)  # nobody looks: what comes meanwhile must not wait in a queue
            later = await _next(camera, clock, number(first) + 9)
            assert later.at_s - first.at_s == pytest.approx(0.05 * (number(later) - number(first)), abs=0.3)
            assert 0 <= clock.now_s() - later.at_s < 0.5
            assert camera.frame(clock.now_s()) is not first
            camera.close()
        assert not [t for t in threading.enumerate() if t.name == "assistant-camera"]

    run(main(), fast=False)


def test_a_stream_that_ends_is_a_lost_camera() -> None:
    async def main() -> None:
        clock = Clock()
        clock.start()
        with stream() as address:
            camera = open_camera(address, clock)
            try:
                with pytest.raises(DeviceError, match=r"it sends none any more; plug it in again"):
                    while clock.now_s() < 20:
                        camera.frame(clock.now_s())
                        await asyncio.sleep(0.05)
            finally:
                camera.close()

    run(main(), fast=False)


def test_a_stream_that_stops_is_taken_back_when_it_returns() -> None:
    async def main() -> None:
        clock = Clock()
        clock.start()
        with stream() as address:
            camera = open_camera(address, clock)
            before = await _next(camera, clock, -1)
        try:
            with pytest.raises(DeviceError, match=r"it sends none any more; plug it in again"):
                while clock.now_s() < 30:
                    camera.frame(clock.now_s())
                    await asyncio.sleep(0.05)
            lost_s = clock.now_s()
            with stream(int(address.rpartition(":")[2].partition("/")[0])):
                after = None
                while after is None and clock.now_s() < lost_s + 30:
                    try:
                        after = camera.frame(clock.now_s())
                    except DeviceError:
                        await asyncio.sleep(0.05)
            assert after is not None and after.at_s > lost_s > before.at_s
        finally:
            camera.close()

    run(main(), fast=False)


def test_a_file_can_stand_for_a_device(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock()
        clock.start()
        camera = LiveCamera(str(film(tmp_path / "a.avi", 30)), clock)
        assert number(await _next(camera, clock, -1)) >= 0
        camera.close()
        camera.frame(clock.now_s())  # closed is not lost

    run(main(), fast=False)


def test_a_stream_nobody_serves_is_one_clear_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeviceError, match=r"^wanted http://127\.0\.0\.1:9/none, it cannot be opened; "):
        open_camera("http://127.0.0.1:9/none", Clock())
    assert capfd.readouterr() == ("", "")
