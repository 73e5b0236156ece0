"""The frame around every page of the sandbox: no JavaScript, light and dark, labelled as a sandbox."""

from collections.abc import Iterable, Mapping
from html import escape
from string import Template

_FRAME = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title (sandbox)</title>
<style>
:root { --back: #f4f5f7; --card: #fff; --text: #1c2024; --soft: #60646c; --line: #d9dce1;
  --accent: #3358d4; --on-accent: #fff; --mark: #ffe9a8; --on-mark: #4a3600; }
@media (prefers-color-scheme: dark) {
  :root { --back: #111214; --card: #1a1c1f; --text: #edeef0; --soft: #a4a9b1; --line: #34373d;
    --accent: #8da8ff; --on-accent: #10131c; --mark: #4a3a08; --on-mark: #ffe7a0; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 8vh 1rem 2rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 26rem; margin: 0 auto; padding: 1.75rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem; }
.mark { display: inline-block; margin: 0; padding: .05rem .6rem; border-radius: 1rem;
  background: var(--mark); color: var(--on-mark); font-size: .8rem; font-weight: 600; }
h1 { margin: .75rem 0 .5rem; font-size: 1.35rem; line-height: 1.25; }
p { margin: .5rem 0; } .soft { color: var(--soft); font-size: .9rem; }
code { overflow-wrap: anywhere; }
form { margin: 1rem 0 0; }
label { display: block; margin: .75rem 0 .25rem; font-weight: 600; font-size: .9rem; }
input, button, .button { width: 100%; padding: .6rem .75rem; border-radius: .5rem; font: inherit;
  border: 1px solid var(--line); background: var(--card); color: var(--text); }
button, .button { display: block; margin-top: .6rem; text-align: center; text-decoration: none;
  font-weight: 600; cursor: pointer; }
button.main { background: var(--accent); color: var(--on-accent); border-color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.error { padding: .5rem .75rem; border: 1px solid currentColor; border-radius: .5rem;
  color: light-dark(#b3261e, #ff9d92); }
hr { margin: 1.25rem 0 0; border: 0; border-top: 1px solid var(--line); }
</style>
</head>
<body>
<main>
<p class="mark">sandbox · $service</p>
<h1>$title</h1>
$content
</main>
</body>
</html>
""")


def page(*, service: str, title: str, content: str) -> str:
    """Put `content`, which is HTML already, into the frame."""
    return _FRAME.substitute(service=escape(service), title=escape(title), content=content)


def message_page(*, service: str, title: str, sentences: Iterable[str]) -> str:
    """Make a page that only says something."""
    content = "\n".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
    return page(service=service, title=title, content=content)


def hidden_fields(values: Mapping[str, str]) -> str:
    """Carry values from one request to the next in a form."""
    return "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in values.items()
    )
