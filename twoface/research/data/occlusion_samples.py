"""Faces with things in front of them, and where: what the occlusion network learns from. No torch."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from twoface.core.arrays import Field, Mask, Meshes, Picture, Plane, Points
from twoface.core.frame import SIZE
from twoface.core.mesh import POLYGONS, mirrored, moved
from twoface.research.data.found import Found
from twoface.research.data.hands import Hands
from twoface.research.data.occluders import OCCLUDERS, UNKNOWN, Scene, draw_shadow
from twoface.research.data.parsing import BACKGROUND, CLOTH, GLASSES, HAIR, HAT, Parsed
from twoface.research.data.portraits import CROP, Augmentation, Portraits, in_crop, moved_frame, recoloured

ARMS = 9  # crop pixels, the width of where the arms of glasses may be
NEAR, FEWEST = 9, 8  # crop pixels about the face, and how many of these something must cover to be in front of it


class OcclusionSamples:
    """An endless, random-access list: sample `i` depends on (seed, i) alone.

    A sample is a dict of `target`: uint8 (128, 128, 3) RGB; `covered`: uint8 (128, 128), 1 where something is in front
    of the face, 0 where nothing is, `UNKNOWN` where nobody knows.

    parsed: pictures whose parts are known; things are drawn over them. portraits, meshes (N, 478, 3): crops to cut
    things from. found: what covers the portraits; with it things are drawn over those that are bare, and some of the
    others are shown as they are. hands: of the portraits; real ones are laid over faces, and crops that show one are
    not taken for bare.
    plain_share: of samples with nothing drawn; parsed_share: from `parsed`, all without `found`; glasses_share:
    besides, those of `parsed` with glasses; found_share: of the portraits, those that something covers, half of them
    by what is not glasses.
    """

    def __init__(
        self,
        parsed: Parsed,
        seed: int,
        length: int,
        augmentation: Augmentation,
        portraits: Portraits,
        meshes: Meshes,
        found: Found | None = None,
        hands: Hands | None = None,
        plain_share: float = 0.27,
        parsed_share: float = 0.18,
        glasses_share: float = 0.06,
        found_share: float = 0.18,
    ) -> None:
        self.parsed, self.portraits, self.meshes = parsed, portraits, meshes
        self.found = found
        self.bare = found.bare if found else np.array([], int)
        self.worn = np.array([_worn(found.marks[i], meshes[i]) for i in found.covered.tolist()] if found else [], bool)
        self.hands, self.laid = hands, hands.free(meshes) if hands else []
        if hands and found:
            self.bare = np.setdiff1d(found.bare, hands.place)
        self.handed = hands.shown() if hands else {}
        self.seed, self.length, self.augmentation = seed, length, augmentation
        self.plain_share, self.parsed_share = plain_share, parsed_share if found else 1.0
        self.glasses_share, self.found_share = glasses_share, found_share
        known = [_known(parts, mesh) for parts, mesh in zip(parsed.parts, parsed.meshes, strict=True)]
        self.known = np.stack(known)
        covered = ((parsed.parts == GLASSES) & (self.known == 1)).sum((1, 2)) > 60
        self.with_glasses, self.without = np.flatnonzero(covered), np.flatnonzero(~covered)
        self.kinds = list(OCCLUDERS.values())
        self.shares = np.array([share for _, share in self.kinds])
        self.shares /= self.shares.sum()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, index))
        crop, points, known, behind, plain = self._base(rng)
        how, move = self.augmentation, moved_frame(rng, self.augmentation)
        view = cv2.warpAffine(crop, move, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        points = moved(points, move)
        nearest = {"flags": cv2.INTER_NEAREST, "borderMode": cv2.BORDER_REFLECT_101}
        covered = cv2.warpAffine(known, move, (SIZE, SIZE), **nearest)
        hand = (lambda: self._hand(rng)) if self.laid else None
        picture = view.astype(np.float32)
        scene = Scene(rng, picture, points, covered, lambda: self._other(rng), lambda: self._head(rng), hand)
        if behind is not None and rng.random() < 0.3:
            self._draw_behind(scene, cv2.warpAffine(behind, move, (SIZE, SIZE), **nearest) > 0)
        if rng.random() < 0.25:
            draw_shadow(scene)
        if not plain and rng.random() >= self.plain_share:
            for _ in range(1 if rng.random() < 0.8 else 2):
                self._draw(scene)
        picture = _taken(rng, np.clip(scene.picture, 0, 255).astype(np.uint8))
        return {"target": recoloured(rng, picture, how), "covered": scene.covered}

    def _base(self, rng: np.random.Generator) -> tuple[Picture, Points, Plane, Mask | None, bool]:
        """-> crop, its mesh in the crop's pixels, what is covered in it, what is behind the face (or None), and whether
        nothing should be drawn over it."""
        flip = rng.random() < 0.5
        kind = rng.random()
        if kind < self.parsed_share + self.glasses_share:
            plain = len(self.with_glasses) > 0 and kind < self.glasses_share
            i = int(rng.choice(self.with_glasses if plain else self.without))
            behind = (self.parsed.parts[i] == BACKGROUND).astype(np.uint8)
            crop, mesh, known = self.parsed.crops[i], self.parsed.meshes[i], self.known[i]
        else:
            assert self.found is not None  # else `parsed_share` is 1
            plain = len(self.found.covered) > 0 and rng.random() < self.found_share
            place = self._covered(rng) if plain else int(rng.choice(self.bare))
            crop, mesh, behind = self.portraits.crops[place], self.meshes[place], None
            known = self.found.mask(place)
            if plain:
                unsure = _arms(mesh) | self.handed.get(place, False)
                known[unsure & (known == 0)] = UNKNOWN
        points = in_crop(mesh)
        if not flip:
            return np.ascontiguousarray(crop), points, known, behind, plain
        points = points[mirrored()]
        points[:, 0] = CROP - 1 - points[:, 0]
        turned = None if behind is None else np.ascontiguousarray(behind[:, ::-1])
        return np.ascontiguousarray(crop[:, ::-1]), points, np.ascontiguousarray(known[:, ::-1]), turned, plain

    def _covered(self, rng: np.random.Generator) -> int:
        assert self.found is not None
        kind = self.worn == (rng.random() < 0.5)
        return int(rng.choice(self.found.covered[kind if kind.any() else ~kind]))

    def _other(self, rng: np.random.Generator) -> tuple[Picture, Points]:
        if rng.random() < 0.8:
            i = int(rng.integers(len(self.portraits)))
            return self.portraits.crops[i], in_crop(self.meshes[i])
        i = int(rng.integers(len(self.parsed)))
        return self.parsed.crops[i], in_crop(self.parsed.meshes[i])

    def _head(self, rng: np.random.Generator) -> Field:
        i = int(rng.integers(len(self.parsed)))
        alpha = (self.parsed.parts[i] != BACKGROUND).astype(np.float32)
        alpha = cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
        return np.dstack([self.parsed.crops[i] * alpha[..., None], alpha]).astype(np.float32)

    def _hand(self, rng: np.random.Generator) -> tuple[Field, Points]:
        assert self.hands is not None
        i = self.laid[int(rng.integers(len(self.laid)))]
        alpha = self.hands.alphas[i][..., None].astype(np.float32) / 255
        crop = self.portraits.crops[self.hands.place[i]]
        return np.concatenate([crop * alpha, alpha], -1), self.hands.points[i]

    def _draw(self, scene: Scene) -> None:
        before = scene.covered.copy()
        draw = self.kinds[int(scene.rng.choice(len(self.kinds), p=self.shares))][0]
        draw(scene)
        fresh = (scene.covered == 1) & (before != 1)
        near = cv2.dilate(scene.face.astype(np.uint8), np.ones((NEAR, NEAR), np.uint8)) > 0
        if np.count_nonzero(fresh & near) < FEWEST:  # beside the face
            scene.covered[fresh] = UNKNOWN

    def _draw_behind(self, scene: Scene, background: Mask) -> None:
        """Something that the head hides: it is drawn, and shows only where the background did."""
        picture, covered = scene.picture.copy(), scene.covered.copy()
        draw = self.kinds[int(scene.rng.choice(len(self.kinds), p=self.shares))][0]
        draw(scene)
        edge = cv2.GaussianBlur(background.astype(np.float32), (0, 0), 0.7)[..., None]
        scene.picture, scene.covered = picture + edge * (scene.picture - picture), covered


def _worn(mark: Plane, mesh: Points) -> bool:
    """Whether most of a mark, as of `Found.marks`, lies about the eyes, as glasses do."""
    eyes = mesh[[33, 133, 362, 263, 168], :2]
    (x0, y0), (x1, y1) = (eyes.min(0) - 12).clip(0), eyes.max(0) + 12
    near = mark[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] == 1
    return bool(np.count_nonzero(near) > 0.6 * np.count_nonzero(mark == 1))


def _arms(mesh: Points) -> Mask:
    """Where the arms of glasses may be, which a network's own marks leave out -> bool (160, 160)."""
    points, lines = np.rint(in_crop(mesh)[:, :2]).astype(np.int32), np.zeros((CROP, CROP), np.uint8)
    for corner, ear in ((33, 127), (263, 356)):
        cv2.line(lines, points[corner].tolist(), points[ear].tolist(), 1, ARMS)
    return lines > 0


def _known(parts: Plane, mesh: Points) -> Plane:
    """What the parts of a picture say of what covers its face -> uint8 (160, 160), as `covered`.

    Glasses do; hair does over the eyes, and elsewhere in the face it may be a fringe or a beard: unknown; background,
    cloth or a hat in the middle of the face are things that the parts have no name for: unknown.
    """
    points = in_crop(mesh)[:, :2]
    face, eyes = np.zeros((CROP, CROP), np.uint8), np.zeros((CROP, CROP), np.uint8)
    cv2.fillPoly(face, [np.rint(points[list(POLYGONS["oval"])]).astype(np.int32)], 1)
    for name in ("left_eye", "right_eye"):
        cv2.fillPoly(eyes, [np.rint(points[list(POLYGONS[name])]).astype(np.int32)], 1)
    inner = cv2.erode(face, np.ones((7, 7), np.uint8)) > 0
    result = np.zeros((CROP, CROP), np.uint8)
    result[inner & np.isin(parts, (BACKGROUND, CLOTH, HAT, HAIR))] = UNKNOWN
    result[(parts == HAIR) & (cv2.dilate(eyes, np.ones((5, 5), np.uint8)) > 0)] = 1
    worn = (parts == GLASSES) & (cv2.dilate(eyes, np.ones((13, 13), np.uint8)) > 0)
    result[parts == GLASSES] = 1 if np.count_nonzero(worn) > 30 else UNKNOWN  # pushed up into the hair
    return result


def _taken(rng: np.random.Generator, picture: Picture) -> Picture:
    """As a camera and a file would: soft, noisy, compressed. So that nothing tells drawn things by their edges."""
    if rng.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.1))
    if rng.random() < 0.3:
        small = int(rng.integers(48, SIZE))
        picture = cv2.resize(cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA), (SIZE, SIZE))
    if rng.random() < 0.4:
        grain = rng.normal(0, rng.uniform(1, 7), (SIZE, SIZE, 1 if rng.random() < 0.5 else 3))
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        _, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 96))])
        decoded: Any = cv2.imdecode(content, cv2.IMREAD_COLOR)
        return decoded
    return picture
