// Talks to the listener that the page came from, and to nobody else. The token is kept in
// this module's memory.

let token = "";
let ask = null; // a login that is going on

const adminHeaders = () => (token ? { Authorization: "Bearer " + token } : {});
export const playHeaders = (key) => ({ ...(token ? { "X-Kai-Admin-Token": token } : {}), ...(key ? { Authorization: "Bearer " + key } : {}) });

// login asks for the token, once for all who need it.
function login(wrong) {
  ask ??= new Promise((done) => {
    const dialog = document.getElementById("login");
    const field = document.getElementById("token");
    if (wrong) document.getElementById("login-why").textContent = "This was not the token. It is admin.token of the configuration.";
    field.value = "";
    dialog.addEventListener("cancel", (e) => e.preventDefault());
    dialog.addEventListener("close", () => {
      token = field.value.trim();
      field.value = "";
      ask = null;
      done();
    }, { once: true });
    dialog.showModal();
  });
  return ask;
}

// request answers with the Response, after asking for the token where it is needed. limit is
// how many milliseconds the answer may take, its body included; 0: any number.
export async function request(path, init = {}, limit = 0) {
  for (;;) {
    const sent = token;
    const signals = [init.signal, limit && AbortSignal.timeout(limit)].filter(Boolean);
    const res = await fetch(path, { ...init, signal: AbortSignal.any(signals), headers: { ...adminHeaders(), ...init.headers }, cache: "no-store" });
    if (res.status !== 401) return res;
    if (sent === token) await login(sent !== "");
  }
}

// get answers with JSON. Its error has the listener's words. A gateway that hangs counts as
// gone after limit milliseconds.
export async function get(path, init, limit = 5000) {
  const res = await request(path, init, limit);
  const body = await res.json().catch((e) => {
    if (res.ok) throw e; // it broke off, or took too long
    return {};
  });
  if (!res.ok) {
    const e = new Error(body.error?.message ?? "The gateway answered with " + res.status + ".");
    e.status = res.status;
    e.body = body;
    throw e;
  }
  return body;
}

export const post = (path) => get(path, { method: "POST" }, 60000);

// events calls on(name, data) for each event of a stream until it ends. EventSource can't
// send the token.
export async function events(body, on) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value.replaceAll("\r\n", "\n");
    for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
      let name = "message";
      const data = [];
      for (const line of rest.slice(0, end).split("\n")) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      }
      if (data.length) on(name, data.join("\n"));
    }
  }
}
