// Uploading a piece: begun once, sent in parts; a part that is lost is sent again from where the console has the bytes.
(() => {
  "use strict";
  const PART = 32 * 1024 * 1024, TRIES = 8, TERMS = ["client", "allocation", "deal", "start_epoch", "purpose"];
  const form = document.querySelector("[data-piece-upload]");
  if (!form) return;
  const says = form.parentElement.querySelector("[data-says]"), button = form.querySelector("button[type=submit]");
  const token = JSON.parse(document.body.getAttribute("hx-headers"))["x-csrftoken"];
  const words = (key, value) => says.dataset[key].replace("{}", value); // in the page's language
  const say = (text, tone) => { says.hidden = false; says.textContent = text; says.dataset.tone = tone; };
  const ask = async (path, options) => {
    const page = { "X-CSRFToken": token, "X-Page-Language": document.documentElement.lang }; // refusals are shown
    const headers = { Accept: "application/json", "Content-Type": "application/octet-stream", ...page, ...options.headers };
    const answer = await fetch(form.dataset.pieceUpload + path, { ...options, headers });
    const body = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(body.message), { status: answer.status });
    return body;
  };
  const typed = (name) => form.elements[name].value.trim();
  const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, text]) => text));
  const terms = () => given(Object.fromEntries(TERMS.map((name) => [name, typed(name)])));

  const download = (miner, url, announced) => {
    const stated = { piece_cid: announced, payload_size: typed("payload_size"), padded_size: typed("padded_size") };
    const body = JSON.stringify({ url, ...terms(), ...given(stated) });
    const headers = { "Content-Type": "application/json" };
    return ask(`miners/${encodeURIComponent(miner)}/pieces:fetch`, { method: "POST", headers, body });
  };

  const send = async (miner, file, announced) => {
    const headers = given({ "Upload-Length": `${file.size}`, "Piece-Cid": announced, "Piece-Size": typed("padded_size") });
    const query = new URLSearchParams({ ...terms(), file_name: file.name });
    let piece = await ask(`miners/${encodeURIComponent(miner)}/pieces?${query}`, { method: "POST", headers });
    const path = `pieces/uploads/${piece.uuid}`;
    for (let failures = 0; piece.received < file.size && piece.state === "UPLOADING";) {
      const at = piece.received, end = Math.min(at + PART, file.size);
      say(end === file.size && at ? words("last") : words("part", Math.floor((100 * at) / file.size)), "run");
      try {
        piece = await ask(path, { method: "PATCH", headers: { "Upload-Offset": String(at) }, body: file.slice(at, end) });
        failures = 0;
      } catch (error) {
        if (error.status && error.status < 500 && error.status !== 409) throw error;
        if (++failures > TRIES) throw error;
        await new Promise((done) => setTimeout(done, 1000 * Math.min(2 ** failures, 30)));
        piece = await ask(path, { method: "GET" }).catch((again) => { if (again.status === 404) throw again; return piece; });
      }
    }
    return piece;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    say(words("begin"), "run");
    try {
      const miner = form.elements.miner.value, file = form.elements.file.files[0], url = typed("url");
      if (!file === !url) throw new Error(words("both"));
      const piece = await (url ? download(miner, url, typed("announced")) : send(miner, file, typed("announced")));
      say(piece.state === "FETCHING" ? words("fetching") : words("done", piece.piece_cid || words("computing")), "ok");
      const used = ["file", "url", "announced", "payload_size", "padded_size", "client", "allocation"];
      for (const name of used) form.elements[name].value = "";
    } catch (error) {
      say(words("failed", error.message), "bad");
    } finally {
      button.disabled = false;
      document.body.dispatchEvent(new Event("resync"));
    }
  });
})();
