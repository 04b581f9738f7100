"""Fixed pairs and holes -> a table, a JSON file and a grid picture, with the simple methods beside ours.

Everyone of a split who has two pictures gives one pair. The hole of the target is filled with the person's own
reference, with none, and with a wrong one. Identity is the cosine of FaceNet embeddings and, where twoface[judge] is
installed, the distance of dlib's; realism is KID, where twoface[train] is. `docs/evaluation.md` says what each figure
means.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import onnxruntime
import skimage
from numpy.typing import NDArray
from tqdm import tqdm

from twoface.core.arrays import Batch, Box, Fields, Mask, Matrix, Picture, Points, Vector
from twoface.core.blend import beside, blend
from twoface.core.errors import InputError, Unavailable
from twoface.core.files import PathLike, check_output, write_aside
from twoface.core.frame import SIZE, UPRIGHT
from twoface.core.masks import box_hole
from twoface.core.mesh import Mesher
from twoface.core.network import FillModel, Network, both_ways, no_reference, shipped
from twoface.core.occlusion import Occlusion, glasses, marked
from twoface.core.parts import check_name, named_hole
from twoface.core.reference import Registered, registered, uncovered, without_fringe
from twoface.research.data.portraits import FRAME, MARGIN, Portraits
from twoface.research.evaluation import recogniser
from twoface.research.evaluation.baselines import BASELINES
from twoface.research.evaluation.grid import draw_grid
from twoface.research.evaluation.metrics import bootstrap_interval, hole_detail, hole_psnr, whole_ssim
from twoface.research.evaluation.pairs import Pairs, fixed_pairs
from twoface.research.evaluation.realism import HoleFeatures, discrepancies, kid, resampled_kid
from twoface.research.evaluation.recogniser import Recogniser
from twoface.research.models.facenet_graph import BatchEmbedder, embedding_view

Pictures: TypeAlias = NDArray[np.uint8]  # (N, H, W, 3)
Masks: TypeAlias = NDArray[np.bool_]  # (N, H, W)
Inputs: TypeAlias = tuple[Batch, Batch, Batch, Batch]  # image, mask, reference, trust
Scores: TypeAlias = dict[str, dict[str, Vector]]  # {method: {figure: (P,)}}
BATCH = 8  # pairs
GRID_PAIRS = 12
GRID_METHODS = ("product", "right", "none", "wrong", "matched_paste", "truth")
METHODS = {  # in the table's order
    "product": "ours, as `twoface fill` pastes it",
    "right": "ours, right reference",
    "none": "ours, no reference",
    "wrong": "ours, a wrong reference",
    "telea": "OpenCV Telea, radius 5",
    "navier_stokes": "OpenCV Navier-Stokes, radius 5",
    "paste": "reference pasted into the hole",
    "matched_paste": "pasted and colour-matched",
    "mean_colour": "mean colour",
    "truth": "the true picture",
}
FIGURES = {
    "psnr": ("hole PSNR dB", ".2f"),
    "ssim": ("whole SSIM", ".3f"),
    "detail": ("fine detail", ".2f"),
    "to_truth": ("cosine to truth", ".3f"),
    "to_reference": ("cosine to reference", ".3f"),
    "to_impostor": ("cosine to impostor", ".3f"),
    "distance": ("dlib distance to truth", ".3f"),
}
KID = ("KID x 1000", ".1f")
COMPARISONS = (("right", "none"), ("none", "wrong"), ("right", "wrong"), ("right", "paste"), ("right", "matched_paste"))


def evaluate(
    data: str | Path,
    *,
    out: PathLike,
    split: str = "val",
    model: PathLike | None = None,
    hole: str | Box = "center",
    center_size: int = 64,
    source: str = "lfw",
    seed: int = 0,
    bootstrap: int = 10_000,
    baselines: bool = True,
    progress: bool = True,
    force: bool = False,
) -> dict[str, Any]:
    """Score a network on the fixed pairs of a split; writes evaluation.json, evaluation.md and grid.png.

    data: a folder made by `twoface data prepare`. out: the folder to write to, created when missing.
    model: an ONNX file, default the one that ships. hole: one of `parts.HOLES`, drawn by the true face's mesh, or a box
    (x0, y0, x1, y1); center_size: the side of the hole `center`; both in crop pixels.
    source: the collection whose people are taken, or "all". seed: draws the pairs and the bootstrap.
    bootstrap: resamplings for each interval, 1 or more. baselines: score the simple methods as well.
    force: overwrite what an earlier run left in `out`.

    The result is what evaluation.json holds: the setup, the mean of each figure for each method (PSNR is the mean over
    pairs of each picture's own PSNR) and its interval, KID, the paired differences of methods, every pair's figures,
    and what was not scored, with the reason.
    Raises InputError when data, split, source, model or hole cannot be used, or `out` cannot be written.
    """
    fixed = _fixed_hole(hole, center_size)
    if bootstrap < 1:
        raise InputError(f"the bootstrap needs 1 resampling or more, not {bootstrap}")
    model = shipped() if model is None else Path(model)
    network = FillModel(model)
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()  # now: a training run may replace the file while we score
    portraits = Portraits.load(data, split)
    pairs = fixed_pairs(portraits, source, seed)
    methods = [m for m in METHODS if baselines or m not in BASELINES]
    files = _output_files(out, force)
    second, features, skipped = _judges()

    meshes = Meshes(portraits)
    drawn = [named_hole(str(hole), meshes.frame(place)) if fixed is None else fixed for place in pairs.target]
    holes = np.stack(drawn)

    scores, looks, errors, shown = _score(portraits, pairs, holes, meshes, network, methods, second, features, progress)
    crowds = {m: discrepancies(seen, looks["truth"]) for m, seen in looks.items() if m != "truth"}
    report = {
        "setup": {
            "split": split,
            "source": source,
            "people": len(pairs),
            "hole": hole if isinstance(hole, str) else ",".join(map(str, hole)),
            "center_size": center_size if hole == "center" else None,
            "hole_share": float(holes.mean()),
            "seed": seed,
            "bootstrap": bootstrap,
        },
        "model": {
            "file": model.name,
            "sha256": sha256,
            "metadata": network.metadata,
        },
        "versions": _versions(),
        "skipped": skipped,
        "figures": {m: {f: _finite(v.mean()) for f, v in scores[m].items()} for m in methods},
        "intervals": {
            m: {f: bootstrap_interval(v, bootstrap, seed) for f, v in scores[m].items() if np.isfinite(v).all()}
            for m in methods
        },
        "kid": {m: (kid(found), *_bounds(resampled_kid(found, bootstrap, seed))) for m, found in crowds.items()},
        "registration": (float(errors.mean()), *bootstrap_interval(errors, bootstrap, seed)),
        "differences": _differences(scores, crowds, bootstrap, seed),
        "pairs": [_pair(portraits, pairs, scores, i) for i in range(len(pairs))],
    }
    table = as_markdown(report)
    write_aside(files["evaluation.json"], (json.dumps(report, indent=1) + "\n").encode(), force)
    write_aside(files["evaluation.md"], table.encode(), force)
    write_aside(files["grid.png"], _png(draw_grid(shown)), force)
    print(table)
    return report


def as_markdown(report: Mapping[str, Any]) -> str:
    """The report's table and intervals as Markdown."""
    setup = report["setup"]
    size = f" {setup['center_size']}x{setup['center_size']}" if setup["center_size"] else ""
    model = report["model"]
    shown = {f: spec for f, (_, spec) in FIGURES.items() if f not in report["skipped"]}
    titles = [FIGURES[f][0] for f in shown] + [KID[0]] * bool(report["kid"])
    lines = [
        f"{setup['people']} people of {setup['split']} ({setup['source']}), seed {setup['seed']},"
        f" hole {setup['hole']}{size} of {SIZE}x{SIZE}, network {model['metadata'].get('twoface.name', model['file'])}"
        f" (SHA-256 {model['sha256'][:12]})",
        "",
        "| | " + " | ".join(titles) + " |",
        "|---" * (len(titles) + 1) + "|",
    ]
    for method, row in report["figures"].items():
        bounds = report["intervals"][method]
        cells = [_cell(spec, row.get(f), *bounds.get(f, ())) for f, spec in shown.items()]
        if report["kid"]:
            cells.append(_cell(KID[1], *(1000 * v for v in report["kid"][method])) if method in report["kid"] else "")
        lines.append(f"| {METHODS[method]} | " + " | ".join(cells) + " |")
    lines += ["", "| difference | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name, row in report["differences"].items():
        cells = [_cell(f"+{spec}", *row.get(f, ())) for f, spec in shown.items()]
        if report["kid"]:
            cells.append(_cell(f"+{KID[1]}", *(1000 * v for v in row["kid"])))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Registration error in the hole: {_cell('.2f', *report['registration'])} pixels of the {SIZE} frame.",
        f"[95 % bootstrap intervals over people, {setup['bootstrap']} resamplings, paired in the differences]",
    ]
    lines += [f"Not scored: {FIGURES.get(figure, KID)[0]}: {reason}." for figure, reason in report["skipped"].items()]
    return "\n".join(lines) + "\n"


def _cell(spec: str, mean: float | None = None, low: float | None = None, high: float | None = None) -> str:
    """A mean and its interval, as far as there are such."""
    if mean is None:
        return ""
    return format(mean, spec) + ("" if low is None else f" [{low:{spec}}, {high:{spec}}]")


def _judges() -> tuple[Recogniser | None, HoleFeatures | None, dict[str, str]]:
    """The judges that can be had -> the Recogniser or None, HoleFeatures or None, {figure: why it is not scored}."""
    second, features = None, None
    skipped: dict[str, str] = {}
    if missing := recogniser.missing():
        skipped["distance"] = f"{', '.join(missing)} not installed: run pip install -e .[judge]"
    else:
        second = Recogniser()
    if missing := [name for name in ("torch", "safetensors", "h5py") if importlib.util.find_spec(name) is None]:
        skipped["kid"] = f"{', '.join(missing)} not installed: run pip install -e .[train]"
    else:
        try:
            features = HoleFeatures()
        except Unavailable as error:
            skipped["kid"] = str(error)
    return second, features, skipped


def _score(
    portraits: Portraits,
    pairs: Pairs,
    holes: Masks,
    meshes: Meshes,
    network: Network,
    methods: Sequence[str],
    second: Recogniser | None,
    features: HoleFeatures | None,
    progress: bool,
) -> tuple[Scores, dict[str, Matrix], Vector, list[dict[str, Picture]]]:
    """Every pair's figures, {method: {figure: float64 (P,)}}, what `features` sees in its holes, {method: (P, D)},
    the registration's errors (P,), and the grid's rows, [{column: picture}].
    """
    register, registration = _registrar(portraits, meshes, network), np.empty(len(pairs))
    embedder = BatchEmbedder()
    figures = [f for f in FIGURES if second or f != "distance"]
    scores: Scores = {m: {f: np.empty(len(pairs)) for f in figures} for m in methods}
    looks: dict[str, list[Matrix]] = {m: [] for m in methods if features}
    known = _embed(embedder, portraits.crops[pairs.reference])
    row = {place: i for i, place in enumerate(pairs.reference.tolist())}  # an impostor is someone's reference
    people = {  # embeddings (P, 512), each computed once
        "to_truth": _embed(embedder, portraits.crops[pairs.target]),
        "to_reference": known,
        "to_impostor": known[[row[place] for place in pairs.impostor.tolist()]],
    }
    shown: list[dict[str, Picture]] = []
    for start in tqdm(range(0, len(pairs), BATCH), "evaluating", unit="batch", disable=not progress):
        batch = slice(start, min(start + BATCH, len(pairs)))
        crops = portraits.crops[pairs.target[batch]]
        truths = _frame(crops)
        masks = holes[batch]
        masked = np.where(masks[..., None], np.uint8(0), truths)
        references = _frame(portraits.crops[pairs.reference[batch]])
        moved, registration[batch] = zip(
            *map(register, pairs.target[batch], pairs.reference[batch], masks), strict=True
        )
        impostors = zip(pairs.target[batch], pairs.impostor[batch], masks, strict=True)
        other = [register(*places)[0] for places in impostors]
        right = _inputs(masked, masks, moved)
        product = both_ways(network, *right)
        pictures = {
            "product": _paste(product, masked, masks, portraits.crops[pairs.reference[batch]], moved),
            "right": _compose(network.run(*right), masked, masks),
            "none": _compose(network.run(*_inputs(masked, masks)), masked, masks),
            "wrong": _compose(network.run(*_inputs(masked, masks, other)), masked, masks),
            "truth": truths,
        }
        for method in BASELINES.keys() & methods:
            fills = [BASELINES[method](*seen) for seen in zip(masked, masks, references, strict=True)]
            pictures[method] = np.stack(fills)
        distances = None if second is None else second.distances(crops)
        for method in methods:
            embeddings = people["to_truth"][batch] if method == "truth" else _embed(embedder, crops, pictures[method])
            score = scores[method]
            if distances is not None:
                score["distance"][batch] = distances(_put(crops, pictures[method]))
            if features:
                looks[method].append(features(pictures[method], masks))
            for figure, others in people.items():
                score[figure][batch] = np.sum(embeddings * others[batch], axis=1)
            seen = list(zip(truths, pictures[method], masks, strict=True))
            score["psnr"][batch] = [hole_psnr(*each) for each in seen]
            score["detail"][batch] = [hole_detail(*each) for each in seen]
            score["ssim"][batch] = [whole_ssim(t, p) for t, p in zip(truths, pictures[method], strict=True)]
        if start >= GRID_PAIRS:
            continue
        columns = {"masked": masked, "reference": references, "registered": np.stack([m.picture for m in moved])}
        columns |= {METHODS[m]: pictures[m] for m in GRID_METHODS if m in methods}
        shown += [{name: column[i] for name, column in columns.items()} for i in range(len(crops))]
    return scores, {m: np.concatenate(seen) for m, seen in looks.items()}, registration, shown[:GRID_PAIRS]


def _frame(crops: Pictures) -> Pictures:
    return crops[:, MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]


def _inputs(masked: Pictures, masks: Masks, references: Sequence[Registered] = ()) -> Inputs:
    """What a network is given of pictures (N, 128, 128, 3), holes (N, 128, 128). references: `Registered`, or none."""
    holes = masks[:, None].astype(np.float32)
    given = [np.concatenate(x) for x in zip(*(r.planes() for r in references), strict=True)]
    reference, trust = given or no_reference(len(masked))
    return _planes(masked), holes, reference, trust


def _compose(fields: Fields, masked: Pictures, masks: Masks) -> Pictures:
    """The masked pictures with the network's own fill in their holes -> uint8 (N, 128, 128, 3)."""
    return np.where(masks[..., None], np.rint(fields["fill"].transpose(0, 2, 3, 1) * 255).astype(np.uint8), masked)


def _paste(fields: Fields, masked: Pictures, masks: Masks, crops: Pictures, moved: Sequence[Registered]) -> Pictures:
    """The same with texture and grain, as `twoface fill` pastes it, but no feather: hard edges like the others."""
    pasted = masked.copy()
    for i, (picture, mask, crop, found) in enumerate(zip(pasted, masks, crops, moved, strict=True)):
        own = beside({name: field[i] for name, field in fields.items()}, picture, mask, found)
        blend(picture, mask, UPRIGHT, own, (crop, found.map))
    return pasted


class Meshes:
    """The meshes of prepared crops, each found once."""

    def __init__(self, portraits: Portraits, mesher: Mesher | None = None) -> None:
        self.mesher = mesher or Mesher()
        self._portraits = portraits
        self._known: dict[int, Points] = {}

    def crop(self, place: int) -> Points:
        """The mesh of a crop's face -> (478, 3), in the pixels of the stored crop."""
        if place not in self._known:
            self._known[place] = self.mesher.find(self._portraits.crops[place], FRAME).points
        return self._known[place]

    def frame(self, place: int) -> Points:
        """The same in the pixels of its 128 frame."""
        return self.crop(place) - (MARGIN, MARGIN, 0)


def _fixed_hole(hole: str | Box, center_size: int) -> Mask | None:
    """The hole that is the same for all faces -> bool (128, 128); None where the mesh says it."""
    if not isinstance(hole, str):
        return box_hole(hole, (SIZE, SIZE))
    check_name(hole)
    return named_hole(hole, center_size=center_size) if hole == "center" else None


def _registrar(
    portraits: Portraits, meshes: Meshes, network: Network
) -> Callable[[int, int, Mask], tuple[Registered, float]]:
    """A function: places of a target and a reference, the hole -> the `Registered` reference of a fill and an error.

    The error is the mean distance, in pixels of the 128 frame, of the target's mesh in the hole from that of its whole
    face.
    """
    occlusion = Occlusion()

    def register(target: int, reference: int, mask: Mask) -> tuple[Registered, float]:
        filled, points = meshes.mesher.behind(_frame(portraits.crops[target][None])[0], mask, network)
        found = registered(points, mask, portraits.crops[reference], meshes.crop(reference))
        aligned, own = FRAME.crop(portraits.crops[reference]), meshes.frame(reference)
        hidden = marked(occlusion.look(aligned), own)
        found = without_fringe(uncovered(found, hidden & ~glasses(hidden, own, aligned), FRAME), filled)
        truth = meshes.frame(target)[:, :2]
        x, y = truth.round().astype(int).clip(0, SIZE - 1).T
        return found, float(np.linalg.norm(found.points[:, :2] - truth, axis=1)[mask[y, x]].mean())

    return register


def _planes(pictures: Pictures) -> Batch:
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def _put(crops: Pictures, frames: Pictures) -> Pictures:
    """The crops with `frames` (N, 128, 128, 3) put into their middles."""
    crops = crops.copy()
    _frame(crops)[:] = frames
    return crops


def _embed(embedder: BatchEmbedder, crops: Pictures, frames: Pictures | None = None) -> Matrix:
    """Embeddings (N, 512) of the crops, with `frames` put into them if given."""
    if frames is not None:
        crops = _put(crops, frames)
    batches = (crops[i : i + BATCH] for i in range(0, len(crops), BATCH))
    return np.concatenate([embedder.embed(np.stack([embedding_view(c) for c in batch])) for batch in batches])


def _differences(
    scores: Scores, crowds: Mapping[str, Matrix], samples: int, seed: int
) -> dict[str, dict[str, tuple[float, float, float]]]:
    """{"a - b": {figure: (mean, low, high)}} of the paired differences."""
    rows = {}
    for a, b in COMPARISONS:
        if b not in scores:
            continue
        row = {}
        for figure, values in scores[a].items():
            difference = values - scores[b][figure]
            row[figure] = (float(difference.mean()), *bootstrap_interval(difference, samples, seed))
        if crowds:
            drawn = resampled_kid(crowds[a], samples, seed) - resampled_kid(crowds[b], samples, seed)
            row["kid"] = (kid(crowds[a]) - kid(crowds[b]), *_bounds(drawn))
        rows[f"{a} - {b}"] = row
    return rows


def _bounds(drawn: Vector) -> tuple[float, float]:
    """The bounds between which 95 % of resampled values lie."""
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return low, high


def _pair(portraits: Portraits, pairs: Pairs, scores: Scores, i: int) -> dict[str, Any]:
    """Which pictures pair `i` is, and its figures under each method."""
    places = {"target": pairs.target[i], "reference": pairs.reference[i], "impostor": pairs.impostor[i]}
    names = {role: portraits.paths[place] for role, place in places.items()}
    return names | {method: {f: _finite(v[i]) for f, v in score.items()} for method, score in scores.items()}


def _finite(value: float) -> float | None:
    """A JSON number, or None: the PSNR of two equal pictures is infinite."""
    return float(value) if np.isfinite(value) else None


def _output_files(out: PathLike, force: bool) -> dict[str, Path]:
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder {out}: {error.strerror}") from error
    return {name: check_output(out / name, force) for name in ("evaluation.json", "evaluation.md", "grid.png")}


def _png(picture: Picture) -> bytes:
    return cv2.imencode(".png", picture[:, :, ::-1])[1].tobytes()


def _versions() -> dict[str, str]:
    packages = {m.__name__: m.__version__ for m in (np, cv2, skimage, onnxruntime)}
    return {"python": platform.python_version()} | packages
