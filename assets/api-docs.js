"use strict";

const element = document.getElementById("swagger-ui");
const dark = matchMedia("(prefers-color-scheme: dark)");

// Swagger UI has dark colours, and waits to be told.
function follow() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

follow();
dark.addEventListener("change", follow);
SwaggerUIBundle({ domNode: element, url: element.dataset.document, deepLinking: true, persistAuthorization: false });
