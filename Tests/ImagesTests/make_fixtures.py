"""Writes Fixtures/: images of every kind, as decoded by Pillow, and two of them as processed by transformers.

    python3 Tests/ImagesTests/make_fixtures.py        needs pillow from 13, numpy, transformers
"""
import base64
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from transformers.image_utils import load_image
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

FOLDER = Path(__file__).parent / "Fixtures"
WIDTH, HEIGHT = 23, 17


def picture(width=WIDTH, height=HEIGHT, channels=3):
    """A test image: smooth, with edges and some noise, using the full range of values."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(5).integers(0, 40, (height, width, channels))
    planes = [(7 * x + 3 * y) % 200, 255 * ((x // 5 + y // 4) % 2), 255 - 11 * y % 256, 9 * x % 256]
    return np.clip(np.stack(planes[:channels], -1) + noise - 20, 0, 255).astype(np.uint8)


def png(width, height, depth, colour, samples, before=(), interlaced=False):
    """A PNG of any kind, including those that Pillow cannot write: samples (height, width, channels) below 2^depth."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def rows(part):
        result = b""
        for row in part if part.size else []:
            if depth == 16:
                packed = row.astype(">u2").tobytes()
            else:
                bits = ((row.reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
                packed = np.packbits(bits.reshape(-1)).tobytes()
            result += b"\0" + packed
        return result

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [samples]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in before)
            + chunk(b"IDAT", zlib.compress(b"".join(map(rows, parts)), 9)) + chunk(b"IEND", b""))


def pngs():
    rng = np.random.default_rng(6)
    palette = rng.integers(0, 256, (11, 3)).astype(np.uint8)
    for name, colour, channels, depths in [
            ("grey", 0, 1, (1, 2, 4, 8, 16)), ("rgb", 2, 3, (8, 16)), ("palette", 3, 1, (1, 2, 4, 8)),
            ("grey-alpha", 4, 2, (8, 16)), ("rgb-alpha", 6, 4, (8, 16))]:
        for depth in depths:
            high = min(2 ** depth, 11) if colour == 3 else 2 ** depth
            # 16-bit grey on both sides of 255, where Pillow clips it.
            samples = rng.integers(0, 700 if name == "grey" and depth == 16 else high, (HEIGHT, WIDTH, channels))
            before = []
            if colour == 3:
                before.append((b"PLTE", palette[:high].tobytes()))
                before.append((b"tRNS", bytes([0, 128])))
            if name == "rgb":
                before.append((b"tRNS", samples[0, 0].astype(">u2").tobytes()))
                before.append((b"gAMA", struct.pack(">I", 100000)))
            for interlaced in (False, True):
                suffix = "-interlaced" if interlaced else ""
                yield f"{name}-{depth}{suffix}.png", png(
                    WIDTH, HEIGHT, depth, colour, samples, before, interlaced)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "turned.png", png(WIDTH, HEIGHT, 8, 2, picture(), [(b"eXIf", exif.tobytes()[6:])])


def jpegs():
    def saved(image, **options):
        stream = io.BytesIO()
        image.save(stream, "JPEG", **options)
        return stream.getvalue()

    rgb = Image.fromarray(picture())
    yield "grey.jpg", saved(rgb.convert("L"))
    for name, subsampling in [("444", 0), ("422", 1), ("420", 2)]:
        yield f"rgb-{name}.jpg", saved(rgb, subsampling=subsampling, quality=85)
    yield "progressive.jpg", saved(rgb, progressive=True, quality=90)
    yield "restarts.jpg", saved(rgb, restart_marker_blocks=2)
    yield "stored-rgb.jpg", saved(rgb, keep_rgb=True)
    yield "cmyk.jpg", saved(Image.fromarray(picture(channels=4), "CMYK"), quality=90)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x010F] = "a maker"
        exif[0x0112] = orientation
        yield f"orientation-{orientation}.jpg", saved(rgb, exif=exif, quality=80)


def described(image):
    return {"width": image.width, "height": image.height, "pixels": base64.b64encode(image.tobytes()).decode()}


def scaled(image):
    for resample in (0, 2, 3):
        for width, height in [
                (12, 12), (23, 17), (23, 9), (8, 17), (1, 1), (46, 34), (57, 5), (3, 61), (22, 18),
                (20, 11), (20, 10)]:
            yield {"resample": resample, **described(image.resize((width, height), resample))}


def processed():
    small = {"height": 12, "width": 12}
    cases = [
        ("vit", {"size": small}),
        ("vit", {"size": 12, "resample": 3, "image_mean": [0.485, 0.456, 0.406],
                 "image_std": [0.229, 0.224, 0.225]}),
        ("vit", {"size": {"shortest_edge": 12}, "resample": 0, "do_center_crop": True, "crop_size": small}),
        ("vit", {"size": 12, "default_to_square": False, "do_normalize": False}),
        ("vit", {"do_resize": False, "do_center_crop": True, "crop_size": {"height": 20, "width": 12},
                 "do_rescale": False, "image_mean": [120, 110, 100], "image_std": [50, 60, 70]}),
        ("vit", {"do_resize": False, "do_center_crop": True, "crop_size": {"height": 30, "width": 32},
                 "rescale_factor": 0.0078}),
        ("vit", {}),
        ("deit", {"size": 15, "crop_size": 12}),
        ("deit", {}),
        # A single number for the size is that of the shorter side.
        ("clip", {"size": 15, "crop_size": 12}),
        ("clip", {"size": {"shortest_edge": 14}, "crop_size": {"height": 14, "width": 14}, "do_normalize": False}),
        ("clip", {}),
        ("siglip", {"size": small}),
        ("siglip", {"size": 9, "resample": 2}),
        # The settings of facebook/dinov2-base.
        ("bit", {"size": {"shortest_edge": 16}, "crop_size": small, "image_mean": [0.485, 0.456, 0.406],
                 "image_std": [0.229, 0.224, 0.225], "resample": 3, "rescale_factor": 0.00392156862745098}),
        ("bit", {}),
        # For a model with one channel.
        ("grey", {"size": {"height": 7, "width": 13}, "image_mean": 0.5, "image_std": 0.5}),
        ("grey", {"size": 12, "resample": 3, "image_mean": [0.48], "image_std": 0.25}),
    ]
    kinds = {
        "deit": (DeiTImageProcessorPil, "DeiTFeatureExtractor"), "clip": (CLIPImageProcessorPil, "CLIPFeatureExtractor"),
        "siglip": (SiglipImageProcessorPil, "SiglipImageProcessor"), "bit": (BitImageProcessorPil, "BitImageProcessorFast")}
    for family, settings in cases:
        kind, name = kinds.get(family, (ViTImageProcessorPil, "ViTImageProcessor"))
        for image in ("rgb-8.png", "orientation-6.jpg"):
            colours = load_image(str(FOLDER / image))
            # Some processors replace the transparent colour of tRNS by white; photographs have none.
            colours.info.pop("transparency", None)
            values = kind(**settings)(
                colours.convert("L") if family == "grey" else colours, return_tensors="np")["pixel_values"][0]
            # A few rows suffice for large results.
            step = 1 if values.shape[1] < 100 else 61
            yield {
                "image": image, "settings": json.dumps({"image_processor_type": name, **settings}),
                "shape": list(values.shape), "step": step,
                "values": base64.b64encode(values[:, ::step].astype("<f4").tobytes()).decode()}


def main():
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    expected = {}
    for name, data in [*pngs(), *jpegs()]:
        (FOLDER / name).write_bytes(data)
        expected[name] = described(load_image(str(FOLDER / name)))
    image = load_image(str(FOLDER / "rgb-8.png"))
    for name, value in [("decoded", expected), ("scaled", list(scaled(image))), ("processed", list(processed()))]:
        (FOLDER / f"{name}.json").write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
