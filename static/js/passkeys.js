// Passkeys: a form with data-passkey asks the browser and sends its answer in the field marked data-answer.
(() => {
  "use strict";
  // A passkey is bound to a name; at an address like 127.0.0.1 browsers refuse to make one.
  const named = !/^[\d.]+$|^\[/.test(location.hostname);
  const usable = named && typeof PublicKeyCredential === "function" && "parseCreationOptionsFromJSON" in PublicKeyCredential;
  for (const why of document.querySelectorAll("[data-passkey-why]")) why.hidden = usable;
  const ask = async (form) => {
    const answer = await fetch(form.dataset.passkey, {
      method: "POST",
      headers: { Accept: "application/json", "x-csrftoken": form.elements.csrfmiddlewaretoken.value },
    });
    const options = await answer.json();
    if (options.confirm) { form.submit(); return null; } // sent without an answer: who it is comes first
    return form.dataset.kind === "create"
      ? navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  };
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = !usable;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const says = form.querySelector("[data-says]");
      says.hidden = true;
      try {
        const credential = await ask(form);
        if (!credential) return;
        form.querySelector("[data-answer]").value = JSON.stringify(credential.toJSON());
        form.submit();
      } catch (error) {
        says.hidden = false; // called off, timed out, or no passkey fits
        says.textContent = error.name === "InvalidStateError" ? says.dataset.taken : says.dataset.none;
      }
    });
  }
})();
