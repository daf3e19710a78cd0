// Signs a change of a signer's policy with the editor's code; the code is never sent.
(() => {
  "use strict";
  const form = document.querySelector("form[data-change]");
  if (!form || !globalThis.crypto?.subtle) return; // no secure page: the signature is made elsewhere and typed in
  const code = form.querySelector("[data-code]");
  form.querySelector("[data-by-code]").hidden = false;
  form.querySelector("[data-by-hand]").hidden = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const bytes = new TextEncoder(), kind = { name: "HMAC", hash: "SHA-256" };
    if (code.value.trim()) { // without one the signer says what is missing
      const key = await crypto.subtle.importKey("raw", bytes.encode(code.value.trim()), kind, false, ["sign"]);
      const signature = new Uint8Array(await crypto.subtle.sign(kind, key, bytes.encode(form.dataset.change)));
      form.elements.signature.value = [...signature].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }
    code.value = "";
    form.submit();
  });
})();
