// A photo by the camera, in a dialog.

import { ApiError } from "../api.js";
import { button, el } from "../dom.js";
import { t } from "../i18n.js";
import { busy, problem } from "../notices.js";

const REFUSED = { NotAllowedError: "camera_refused", NotFoundError: "camera_none", NotReadableError: "camera_used" };

/** -> Promise of a JPEG File, or null when the user closes the dialog. */
export async function openCamera() {
  const video = el("video", { autoplay: true, playsinline: true, muted: true, hidden: true });
  const place = el("div", { class: "camera-place" }, busy(t("camera.starting")), video);
  const shoot = button(t("camera.shoot"), { kind: "primary", symbol: "camera", disabled: true });
  const turn = button(t("camera.turn"), { symbol: "turn", hidden: true });
  const close = button(t("action.cancel"), { kind: "quiet" });
  const title = el("h2", { id: "camera-title" }, t("camera.title"));
  const dialog = el(
    "dialog",
    { class: "camera", "aria-labelledby": "camera-title" },
    title,
    place,
    el("div", { class: "row end" }, close, turn, shoot),
  );
  document.body.append(dialog);
  dialog.showModal();

  const camera = new Camera(video);
  const start = async (facing) => {
    shoot.disabled = true;
    try {
      await camera.start(facing);
    } catch (error) {
      place.replaceChildren(problem(new ApiError(REFUSED[error.name] ?? error.code ?? "camera_failed", error.message)));
      return;
    }
    if (!dialog.open) return camera.stop();
    place.replaceChildren(video);
    video.hidden = shoot.disabled = false;
    turn.hidden = !(await camera.several());
    shoot.focus();
  };
  start("user");

  return new Promise((resolve) => {
    let file = null;
    shoot.addEventListener("click", async () => {
      file = await camera.shoot();
      dialog.close();
    });
    turn.addEventListener("click", () => start(camera.facing === "user" ? "environment" : "user"));
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      camera.stop();
      dialog.remove();
      resolve(file);
    });
  });
}

class Camera {
  constructor(video) {
    this.video = video;
  }

  async start(facing) {
    if (!navigator.mediaDevices) throw new ApiError("camera_insecure", "no secure context");
    this.stop();
    this.facing = facing;
    const size = { width: { ideal: 1920 }, height: { ideal: 1440 } };
    this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, ...size } });
    this.video.srcObject = this.stream;
    this.video.classList.toggle("mirrored", facing === "user"); // as in a mirror; the photo itself is not
    await this.video.play();
  }

  async several() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput").length > 1;
  }

  async shoot() {
    const { videoWidth: width, videoHeight: height } = this.video;
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
    return new File([blob], `${t("camera.file")}.jpg`, { type: "image/jpeg" });
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
  }
}
