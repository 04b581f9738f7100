// The server, as functions. Every failure is an ApiError with a code that strings.json has words for.

export class ApiError extends Error {
  /** code: of the server, or of `unanswered`. values: the numbers that the words need. */
  constructor(code, message, { status = 0, retryAfter = null, ...values } = {}) {
    super(message);
    Object.assign(this, { code, status, retryAfter, values });
  }
}

/** Names under which a server is on this machine. */
export const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

export const isAbort = (error) => error?.name === "AbortError";

/** What the server offers: limits, samples, indexes, backend, version. Filled by `meet`. */
export const server = {};

export async function meet() {
  Object.assign(server, await json("api/status"));
}

/** A cookie for a password. */
export function logIn(password) {
  return call("login", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ password }),
  });
}

/** Upload a file -> the photo's id, size and faces. progress: called with the share that has been sent. */
export function addPhoto(file, name, { progress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch cannot tell how much has been sent
    const abort = () => request.abort();
    request.open("POST", `api/photos?name=${encodeURIComponent(name)}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("X-Two-Face", "1");
    request.upload.onprogress = (event) => event.lengthComputable && progress?.(event.loaded / event.total);
    request.onload = () => {
      const body = parse(request.responseText);
      if (request.status < 300 && body) resolve(body);
      else reject(failure(request.status, body, request.getResponseHeader("Retry-After")));
    };
    request.onerror = async () => reject(await unanswered(file));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", abort);
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) return request.onabort();
    request.send(file);
  });
}

export const removePhoto = (id) => call(`api/photos/${id}`, { method: "DELETE" });

export const preview = (id, side, signal) => blob(`api/photos/${id}/preview?side=${side}`, { signal });

export function crop(id, { x, y, side, angle }, size, signal) {
  return blob(`api/photos/${id}/crop?${new URLSearchParams({ x, y, side, angle, size })}`, { signal });
}

/** The part of the face called `name`, drawn over the square about the frame whose side is `wider` times its. */
export function hole(id, name, { x, y, side, angle }, size, wider, signal) {
  const place = new URLSearchParams({ x, y, side, angle, size, wider });
  return blob(`api/photos/${id}/holes/${name}?${place}`, { signal });
}

/** What is in front of the face, or closed eyes -> {code, mask: base64 of a picture, drawn as of `hole`}. */
export function cover(id, { x, y, side, angle }, size, wider, signal) {
  return json(`api/photos/${id}/cover?${new URLSearchParams({ x, y, side, angle, size, wider })}`, { signal });
}

/** request: {photo, frame, mask, wider, references} as the server takes it -> what it says of the fill. */
export const fill = (request, signal) => post("api/fill", request, signal);

/** request: {photo, frame, mask, wider, index} as the server takes it -> what was found there. */
export const search = (request, signal) => post("api/search", request, signal);

export const candidateCrop = (id, number, size, signal) =>
  blob(`api/searches/${id}/${number}/crop?size=${size}`, { signal });

/** Have the server take a filled photo as one to be filled -> as `addPhoto`. */
export const addFilled = (id, signal) => json(`api/fills/${id}/photo`, { method: "POST", signal });

/** Have the server take what a search found -> as `addPhoto`, and the face's frame. */
export const addCandidate = (id, number, signal) => json(`api/searches/${id}/${number}`, { method: "POST", signal });

export const patch = (id, signal) => blob(`api/fills/${id}/patch`, { signal });

export const fillCrop = (id, name, signal) => blob(`api/fills/${id}/crop/${name}`, { signal });

const people = (index) => `api/indexes/${index}/people`;

/** The people of an index (its number) -> {grouped, people: [{number, name, faces}], alone}. */
export const overview = (index, signal) => json(people(index), { signal });

/** Group the faces that have nobody yet -> as `overview`. */
export const group = (index, signal) => json(people(index), { method: "POST", signal });

/** Remove all groups and names -> as `overview`. */
export const ungroup = (index) => json(people(index), { method: "DELETE" });

/** A person by number -> {number, name, faces: [{key, name}]}. */
export const person = (index, number, signal) => json(`${people(index)}/${number}`, { signal });

export const namePerson = (index, number, name) => post(`${people(index)}/${number}/name`, { name });

/** The faces of the others (numbers) go to a person -> that person. */
export const mergePeople = (index, number, others) => post(`${people(index)}/${number}/merge`, { people: others });

/** Faces (keys) of a person go to another, or with `to` null to a new one -> that one. */
export const moveFaces = (index, number, faces, to) => post(`${people(index)}/${number}/move`, { faces, to });

/** The address of a picture of a person: of the face of that key, else of one that stands for all. */
export const faceAddress = (index, number, key) =>
  `${people(index)}/${number}${key ? `/faces/${key}` : ""}/crop?size=160`;

/** End the login. */
export const logOut = () => call("logout", { method: "POST" });

/** The finished photo -> {blob, name}, the name by the server. location: whether it still says where it was taken. */
export async function finished(id, { format, location = true }, signal) {
  const answer = await call(`api/fills/${id}/photo?${new URLSearchParams({ format, location })}`, { signal });
  return {
    blob: await answer.blob(),
    name: fileName(answer.headers.get("Content-Disposition")) ?? `two-face.${format}`,
  };
}

export const sample = (name, signal) => blob(`samples/${encodeURIComponent(name)}`, { signal });

function post(address, request, signal) {
  const headers = { "Content-Type": "application/json" };
  return json(address, { method: "POST", headers, body: JSON.stringify(request), signal });
}

async function json(address, options) {
  return (await call(address, options)).json();
}

async function blob(address, options) {
  return (await call(address, options)).blob();
}

async function call(address, { headers = {}, ...options } = {}) {
  let answer;
  try {
    answer = await fetch(address, { headers: { "X-Two-Face": "1", ...headers }, ...options });
  } catch (error) {
    throw isAbort(error) ? error : await unanswered();
  }
  if (!answer.ok) throw failure(answer.status, parse(await answer.text()), answer.headers.get("Retry-After"));
  return answer;
}

function failure(status, body, retryAfter) {
  const { code = body ? "unknown" : "stranger", message = "", ...values } = body?.error ?? {}; // a proxy's own page
  return new ApiError(code, message || `HTTP ${status}`, { ...values, status, retryAfter: Number(retryAfter) || null });
}

/** Why a request came to nothing -> ApiError. file: what it was to send. */
async function unanswered(file) {
  if (file && !(await readable(file))) return new ApiError("file_gone", "the file cannot be read");
  if (!navigator.onLine && !LOCAL.includes(location.hostname)) return new ApiError("no_network", "no network");
  if (await answers()) return new ApiError("interrupted", "the connection was cut");
  return new ApiError("offline", "the server does not answer");
}

const readable = (file) =>
  file
    .slice(0, 1)
    .arrayBuffer()
    .then(
      () => true,
      () => false,
    );

const answers = () =>
  fetch("api/status", { headers: { "X-Two-Face": "1" } }).then(
    () => true,
    () => false,
  );

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function fileName(disposition) {
  const coded = /filename\*=utf-8''([^;]+)/i.exec(disposition ?? "");
  return coded ? decodeURIComponent(coded[1]) : /filename="([^"]+)"/i.exec(disposition ?? "")?.[1];
}
