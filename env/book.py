"""Gathers the pages of the book, `make book`: the chapters as they were executed, the assignments' statements, results, and a map of the
packages; or, with --check, looks whether every link of the built site leads somewhere and nothing is loaded from elsewhere."""

import argparse
import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
from latex2mathml.converter import convert as mathml

ROOT = Path(__file__).parent.parent
MATH = re.compile(r"(?<!\\)\$\$(.+?)\$\$|(?<![\\$\w])\$([^$\n]+?)\$(?!\w)", re.S)
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.S)
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s]+)(\))")
STYLE = """
.md-grid { max-width: 80rem; }
.md-typeset figure.output { margin: 1em 0; overflow-x: auto; text-align: left; max-width: 100%; width: auto; display: block; }
.md-typeset figure.output img, .md-typeset figure.output svg { max-width: 100%; height: auto; background: #fff; }
.md-typeset table:not([class]) { font-size: .62rem; }
.md-typeset details pre > code { white-space: pre-wrap; }
.md-typeset math[display="block"] { overflow: auto hidden; }
"""


def formulas(text):
    """Markdown with its formulas as MathML, which needs no script."""

    def one(found):
        block, inline = found.groups()
        return mathml(block, display="block") if block else mathml(inline)

    return "".join(part if part.startswith("`") else MATH.sub(one, part) for part in CODE.split(text))


class Pages:
    def __init__(self, out):
        self.out = out
        self.where = {}  # page of each file of the checkout that has one

    def name(self, path):
        return self.where.get(path.resolve())

    def plan(self, path, page):
        self.where[path.resolve()] = page

    def relink(self, text, folder):
        """Links of a page of the checkout, from folder: to pages of the book, or named only, where they lead into the code."""

        def one(found):
            head, target, tail = found.groups()
            parts = urlsplit(target)
            if parts.scheme or not parts.path:
                return found.group()
            path = folder / unquote(parts.path)
            page = self.name(path)
            if page:
                return head + page + ("#" + parts.fragment if parts.fragment else "") + tail
            if head.startswith("!") and path.is_file():
                (self.out / path.name).write_bytes(path.read_bytes())
                return head + path.name + tail
            return head.lstrip("!")[1:-2]  # the words alone

        return "".join(part if part.startswith("`") else LINK.sub(one, part) for part in CODE.split(text))

    def write(self, page, text):
        (self.out / page).write_text(text, encoding="utf-8")

    def markdown(self, path):
        text = re.sub(r"<!--.*?-->\n?", "", path.read_text(encoding="utf-8"), flags=re.S)
        self.write(self.name(path), self.relink(text, path.parent))

    def notebook(self, path):
        book = nbformat.read(path, as_version=4)
        stem, parts, images = path.stem, [], 0
        for cell in book.cells:
            if cell.cell_type == "markdown":
                parts.append(self.relink(formulas(cell.source), path.parent))
                continue
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            parts.append(f"```go\n{cell.source}\n```")
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                if "text/markdown" in data:
                    parts.append(self.relink(formulas(data["text/markdown"]), path.parent))
                elif "text/html" in data:
                    html = re.sub(r"\n\s*\n", "\n", data["text/html"])
                    parts.append(f'<figure class="output">\n{html}\n</figure>')
                elif "image/svg+xml" in data or "image/png" in data:
                    images += 1
                    svg = data.get("image/svg+xml")
                    name = f"{stem}-{images}.{'svg' if svg else 'png'}"
                    (self.out / name).write_bytes(svg.encode() if svg else base64.b64decode(data["image/png"]))
                    alt = data.get("text/plain", "").replace("\n", " ").replace('"', "&quot;").replace("<", "&lt;")
                    parts.append(f'<figure class="output"><img src="{name}" alt="{alt}"></figure>')
                else:
                    text = output.get("text") or data.get("text/plain") or "\n".join(output.get("traceback", []))
                    if text:
                        parts.append("```text\n" + text.rstrip("\n") + "\n```")
        self.write(self.name(path), "\n\n".join(parts) + "\n")


def packages():
    """The page of packages: what doc.go says of the whole, and each package in a sentence."""
    form = '{{if ne .Name "main"}}{{.ImportPath}}\t{{.Doc}}{{end}}'
    listed = subprocess.run(["go", "list", "-f", form, "./..."], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rows = [line.split("\t", 1) for line in listed.splitlines() if "\t" in line and "/internal/" not in line and "/bench" not in line]
    whole = subprocess.run(["go", "doc", "./sslkit"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    table = "".join(f"| `{name}` | {doc} |\n" for name, doc in rows)
    return f"# Packages\n\n| package | |\n|---|---|\n{table}\n`go doc` has each in full. Of `sslkit`:\n\n```text\n{whole}```\n"


def gather(out):
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        old.unlink()
    pages = Pages(out)
    chapters = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assignments = sorted((ROOT / "notebooks" / "assignments").glob("*.ipynb"))
    texts = sorted((ROOT / "docs").glob("*.md"))
    pages.plan(ROOT / "README.md", "index.md")
    for path in chapters:
        pages.plan(path, path.stem + ".md")
    for path in assignments:
        pages.plan(path, "assignment_" + path.stem + ".md")
    for path in [*texts, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]:
        pages.plan(path, path.stem.lower() + ".md")
    for path in [ROOT / "README.md", *texts, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]:
        pages.markdown(path)
    for path in chapters:
        pages.notebook(path)
    for path in assignments:
        statements(pages, path)
    pages.write("packages.md", packages())
    pages.write("book.css", STYLE)


def statements(pages, path):
    """An assignment without its solutions: what is asked, and what is tested."""
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        cell.outputs = []
        cell.source = re.sub(r"( *|\t*)// ### BEGIN SOLUTION.*?// ### END SOLUTION", r"\1// yours", cell.source, flags=re.S)
    kept = pages.out / path.name
    nbformat.write(book, kept)
    pages.where[kept.resolve()] = pages.name(path)
    pages.notebook(kept)
    kept.unlink()


class Seen(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(v for k, v in attrs.items() if k in ("id", "name") and v)
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        for key in ("src",) if tag != "link" else ("href",):
            if tag in ("script", "img", "iframe", "source", "link") and attrs.get(key) and attrs.get("rel") != "canonical":
                self.loads.append(attrs[key])


def check(site):
    seen = {}
    for path in site.rglob("*.html"):
        seen[path.resolve()] = parser = Seen()
        parser.feed(path.read_text(encoding="utf-8"))
    bad = []
    for path, parser in seen.items():
        if path.name == "404.html":
            continue
        for target in parser.loads:
            if urlsplit(target).scheme in ("http", "https") or target.startswith("//"):
                bad.append(f"{path.name} loads {target}")
        for target in parser.links + parser.loads:
            parts = urlsplit(target)
            if parts.scheme or target.startswith("//"):
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not to.exists():
                bad.append(f"{path.name} leads to {target}, which is not there")
            elif parts.fragment and to in seen and unquote(parts.fragment) not in seen[to].ids:
                bad.append(f"{path.name} leads to {target}, and there is no such place")
    if bad:
        sys.exit("\n".join(sorted(set(bad))))
    print(f"{len(seen)} pages, {sum(len(p.links) for p in seen.values())} links: all lead somewhere")


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path)
parser.add_argument("--check", action="store_true")
options = parser.parse_args()
check(options.folder) if options.check else gather(options.folder)
